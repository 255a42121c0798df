using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// What happens to a product before it is stored: z = x W^T + bias; kept pre-activation = z; y (+)= activation(z) + residual.
/// Every part may be left out.
/// </summary>
internal unsafe struct GemmEpilogue
{
    /// <summary>(N); or null.</summary>
    public float* Bias;

    /// <summary>(M, N) gets z; or null.</summary>
    public float* PreActivation;

    /// <summary>Floats from one row of the pre-activation to the next.</summary>
    public nint PreActivationStride;

    /// <summary>The activation.</summary>
    public Activation Activation;

    /// <summary>(M, N), may be y; or null.</summary>
    public float* Residual;

    /// <summary>Floats from one row of the residual to the next.</summary>
    public nint ResidualStride;

    /// <summary>Adds to y instead of writing it.</summary>
    public bool Accumulate;
}

/// <summary>The epilogue of a block of sums that lies in scratch memory: one panel's columns of some rows, bias already added.</summary>
internal unsafe struct GemmEpilogueBlock
{
    /// <summary>The sums; the activation overwrites them.</summary>
    public float* Sums;

    /// <summary>Columns of a row of the sums in memory, at least <see cref="Columns"/>.</summary>
    public int Width;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Columns that exist.</summary>
    public int Columns;

    /// <summary>Where the pre-activation goes; or null.</summary>
    public float* PreActivation;

    /// <summary>Row stride in floats.</summary>
    public nint PreActivationStride;

    /// <summary>What is added after the activation; or null.</summary>
    public float* Residual;

    /// <summary>Row stride in floats.</summary>
    public nint ResidualStride;

    /// <summary>Where the result goes.</summary>
    public float* Y;

    /// <summary>Row stride in floats.</summary>
    public nint YStride;

    /// <summary>Adds to y instead of writing it.</summary>
    public bool Accumulate;

    /// <summary>Applies the epilogue.</summary>
    internal void Apply<TSimd, TVector>(Activation activation)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        if (PreActivation is not null)
        {
            for (int row = 0; row < Rows; row++)
            {
                var sums = new ReadOnlySpan<float>(Sums + ((long)row * Width), Columns);
                sums.CopyTo(new Span<float>(PreActivation + (row * PreActivationStride), Columns));
            }
        }

        // The sums are contiguous, padding columns included, so the activation is one loop over the whole block.
        switch (activation)
        {
            case Activation.None:
                break;
            case Activation.Relu:
                Activate<TSimd, TVector, ReluFunction>();
                break;
            case Activation.GeluErf:
                Activate<TSimd, TVector, GeluErfFunction>();
                break;
            case Activation.GeluTanh:
                Activate<TSimd, TVector, GeluTanhFunction>();
                break;
            case Activation.QuickGelu:
                Activate<TSimd, TVector, QuickGeluFunction>();
                break;
            case Activation.Silu:
                Activate<TSimd, TVector, SiluFunction>();
                break;
            case Activation.Tanh:
                Activate<TSimd, TVector, TanhFunction>();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(activation), activation, "Unknown activation.");
        }

        Store<TSimd, TVector>();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Activate<TSimd, TVector, TFunction>()
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TFunction : struct, IActivationFunction
    {
        float* end = Sums + ((long)Rows * Width);
        for (float* x = Sums; x < end; x += 2 * TSimd.Count)
        {
            TVector first = TFunction.Value<TSimd, TVector>(TSimd.Load(x));
            TVector second = TFunction.Value<TSimd, TVector>(TSimd.Load(x + TSimd.Count));
            TSimd.Store(first, x);
            TSimd.Store(second, x + TSimd.Count);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Store<TSimd, TVector>()
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        int columns = Columns;
        int vectors = columns - (columns % TSimd.Count);
        bool accumulate = Accumulate;
        bool adds = Residual is not null;
        for (int row = 0; row < Rows; row++)
        {
            float* sums = Sums + ((long)row * Width);
            float* y = Y + (row * YStride);
            float* residual = Residual + (row * ResidualStride);
            for (int j = 0; j < vectors; j += TSimd.Count)
            {
                TVector v = TSimd.Load(sums + j);
                v = adds ? TSimd.Add(v, TSimd.Load(residual + j)) : v;
                TSimd.Store(accumulate ? TSimd.Add(TSimd.Load(y + j), v) : v, y + j);
            }

            for (int j = vectors; j < columns; j++)
            {
                float v = adds ? sums[j] + residual[j] : sums[j];
                y[j] = accumulate ? y[j] + v : v;
            }
        }
    }
}
