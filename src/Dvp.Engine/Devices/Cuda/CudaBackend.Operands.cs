using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// What launchers need of their operands: checks, alignment, the parameter in the storage type, conversion of what has another type.
public sealed partial class CudaBackend
{
    /// <summary>Copies of the buffers that hold trained parameters, by buffer; see <see cref="CudaWeightForm"/>.</summary>
    internal Dictionary<DeviceBuffer, CudaMasterCopy> MasterCopies { get; } = [];

    /// <summary>A parameter as kernels read it: its values, or their copy in the storage type, up to date.</summary>
    internal Tensor Form(ParameterBlock parameter)
    {
        if (parameter.Value.Type == _real)
        {
            return parameter.Value;
        }

        ParameterBlock root = parameter;
        while (!ReferenceEquals(root.Whole, root))
        {
            root = root.Whole;
        }

        CudaWeightForm whole = CudaWeightForm.OfWhole(this, root);
        if (Recording != 0 && whole.Masters is { } masters)
        {
            if (masters.Renews(Recording))
            {
                ConvertVector(KernelArgument.Address(masters.Address), KernelArgument.Address(masters.Masters.Address), ElementType.F32, masters.Count);
            }
        }
        else if (IsPlanning || whole.Renews(root.Version))
        {
            LaunchConvert(whole.Value, root.Value);
        }

        return ReferenceEquals(root, parameter) ? whole.Value : CudaWeightForm.OfPart(whole, root, parameter).Value;
    }

    /// <summary>1 where the first element and every row of a tensor lie at multiples of four elements; also where there is none.</summary>
    private static int InFours(Tensor? tensor) => tensor is null || IsMultiple(tensor, 4) ? 1 : 0;

    /// <summary>1 where the first element and every row of a tensor lie at multiples of eight elements.</summary>
    private static int InEights(Tensor tensor) => IsMultiple(tensor, 8) ? 1 : 0;

    private static bool IsMultiple(Tensor tensor, int elements) =>
        tensor.Address % (elements * tensor.Type.Size()) == 0 && (tensor.RowStride % elements == 0 || tensor.Rows <= 1);

    private static void RequireSame(Tensor a, Tensor? b, ElementType type, string operation) =>
        CudaShapes.Require(b is null || (a.Rows == b.Rows && a.Columns == b.Columns && b.Type == type), operation, a, b);

    /// <summary>x in the storage type: itself, or a copy in the workspace.</summary>
    private Converted Convert(Tensor x, ref Workspace space)
    {
        long bytes = Converted.Bytes(x, _real);
        if (bytes == 0)
        {
            return new Converted(x, x.RowStride, InEights(x));
        }

        KernelArgument copy = space.Take(bytes);
        LaunchConvert(copy, x);
        return new Converted(copy, x.Columns, x.Columns % 8 == 0 ? 1 : 0);
    }

    /// <summary>y = x in the storage type; y has no gaps.</summary>
    private void LaunchConvert(KernelArgument y, Tensor x)
    {
        if (x.IsContiguous && x.Address % (4 * x.Type.Size()) == 0)
        {
            ConvertVector(y, x, x.Type, x.Count);
        }
        else
        {
            Kernel("convert_rows", "convert", _real, Source(x.Type)).Launch(
                DivideUp(x.Rows, 4), (64, 4), 0, y, x, x.Rows, x.Columns, x.Columns, x.RowStride);
        }
    }

    private void ConvertVector(KernelArgument y, KernelArgument x, ElementType source, long count) =>
        Kernel("convert_vector", "convert", _real, Source(source)).Launch((int)Math.Min(65536, (count + 1023) / 1024), 256, 0, y, x, count);

    private static string Source(ElementType type) => type switch
    {
        ElementType.F32 => "source=f32",
        ElementType.BF16 => "source=bf16",
        ElementType.F16 => "source=f16",
        _ => throw new ArgumentException($"Kernels do not convert {type}.", nameof(type)),
    };

    /// <summary>An operand in the storage type: where it lies, elements from row to row, 1 if both are multiples of eight elements.</summary>
    private readonly record struct Converted(KernelArgument Data, int Stride, int InEights)
    {
        /// <summary>Bytes of the copy that a tensor needs; 0 where it has the type already.</summary>
        public static long Bytes(Tensor x, ElementType real) => x.Type == real ? 0 : Workspace.Rounded(x.Count * real.Size());
    }

    /// <summary>Scratch memory of one operator, handed out piece by piece.</summary>
    private ref struct Workspace
    {
        private nint _next;

        public Workspace(CudaBackend backend, long bytes) => _next = bytes == 0 ? 0 : backend.Scratch(bytes);

        /// <summary>Sizes are rounded so that every piece begins at a multiple of 256 bytes.</summary>
        public static long Rounded(long bytes) => (bytes + 255) & ~255L;

        /// <summary>The next piece; null where it has no bytes.</summary>
        public KernelArgument Take(long bytes)
        {
            nint piece = bytes == 0 ? 0 : _next;
            _next += (nint)Rounded(bytes);
            return KernelArgument.Address(piece);
        }
    }
}
