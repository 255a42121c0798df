using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>How products are made: which kernel, which tile, how many parts.</summary>
public sealed class MatmulPlanTests
{
    private const int A100 = 108;
    private const int H100 = 132;

    [Fact]
    public void Every_plan_covers_its_sum_once_and_is_in_the_catalog()
    {
        Random random = new(7);
        int split = 0;
        for (int i = 0; i < 2000; i++)
        {
            ElementType real = (ElementType)(i % 3);
            (int rows, int columns, int depth) = (1 << random.Next(13), 1 << random.Next(13), 1 << random.Next(15));
            (rows, columns, depth) = (random.Next(rows) + 1, random.Next(columns) + 1, random.Next(depth) + 1);
            bool forward = i % 2 == 0;
            MatmulPlan plan = MatmulPlan.Choose(real, forward, rows, columns, depth, i % 5 == 0 ? 1 : H100);

            string shape = $"{real} {rows} x {columns} x {depth}: {plan}";
            Assert.True((long)plan.Splits * plan.DepthPerSplit >= depth, shape);
            Assert.True((long)(plan.Splits - 1) * plan.DepthPerSplit < depth, shape);
            Assert.True(plan.Splits == 1 || plan.DepthPerSplit % MatmulPlan.Depth == 0, shape);
            Assert.Equal(forward && rows <= MatmulPlan.MatvecRows, plan.File == "matvec");
            Assert.Equal(real == ElementType.F32, plan.File == "matmul_simt" || (plan.File == "matvec" && real == ElementType.F32));
            Assert.Contains(new KernelVariant(plan.File, real, plan.Options), KernelCatalog.All);
            split += plan.Splits > 1 ? 1 : 0;
        }

        Assert.InRange(split, 100, 1900);
    }

    // BERT-base at 17 tokens: products of layers in training (batch 256), of a small batch, of a gradient.
    [Theory]
    [InlineData(256 * 17, 3072, 768, 128, 128, 1)]
    [InlineData(256 * 17, 768, 3072, 128, 128, 1)]
    [InlineData(256 * 197, 768, 768, 128, 128, 1)]
    public void Large_products_take_the_largest_tile_whole(int rows, int columns, int depth, int tileM, int tileN, int splits)
    {
        MatmulPlan plan = MatmulPlan.Choose(ElementType.BF16, true, rows, columns, depth, A100);
        Assert.Equal((tileM, tileN, splits), (plan.TileM, plan.TileN, plan.Splits));
    }

    [Theory]
    [InlineData(17, 768, 3072)]
    [InlineData(64, 768, 3072)]
    [InlineData(768, 96, 4352)] // the gradient of an adapter's weight
    public void Products_with_few_tiles_and_long_sums_are_split(int rows, int columns, int depth)
    {
        MatmulPlan plan = MatmulPlan.Choose(ElementType.BF16, false, rows, columns, depth, A100);
        Assert.True(plan.Splits > 1, $"{plan}");
        int blocks = CudaBackend.DivideUp(rows, plan.TileM) * CudaBackend.DivideUp(columns, plan.TileN) * plan.Splits;
        Assert.InRange(blocks, A100 / 2, 4 * A100);
    }

    [Fact]
    public void Short_sums_stay_whole()
    {
        MatmulPlan plan = MatmulPlan.Choose(ElementType.F16, false, 64, 64, 64, A100);
        Assert.Equal((64, 64, 1), (plan.TileM, plan.TileN, plan.Splits));
    }

    [Theory]
    [InlineData(ElementType.F32)]
    [InlineData(ElementType.BF16)]
    public void Few_rows_are_a_reading_of_the_weight(ElementType real)
    {
        Assert.Equal("matvec", MatmulPlan.Choose(real, true, 8, 768, 768, A100).File);
        Assert.NotEqual("matvec", MatmulPlan.Choose(real, true, 9, 768, 768, A100).File);
        Assert.NotEqual("matvec", MatmulPlan.Choose(real, false, 8, 768, 768, A100).File);
    }
}
