using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

// Activations by themselves and as gates.
public sealed unsafe partial class CpuBackend
{
    private struct ActivationContext
    {
        internal View Y;
        internal View Second;
        internal View Gradient;
        internal View X;
        internal View Up;
        internal int RowsOfPiece;
    }

    /// <inheritdoc/>
    public override void ActivationForward(Tensor y, Tensor x, Activation activation)
    {
        const string Operation = nameof(ActivationForward);
        NoteLaunch();
        RequireEqual(y, x, Operation);
        ActivationContext c = new() { Y = new View(y, Operation), X = new View(x, Operation), RowsOfPiece = ActivationRows(y) };
        RunActivation(activation, y.Rows, ref c, gradient: false);
    }

    /// <inheritdoc/>
    public override void ActivationBackward(Tensor dx, Tensor dy, Tensor preActivation, Activation activation)
    {
        const string Operation = nameof(ActivationBackward);
        NoteLaunch();
        RequireEqual(dx, dy, Operation);
        RequireEqual(dx, preActivation, Operation);
        ActivationContext c = new()
        {
            Y = new View(dx, Operation),
            Gradient = new View(dy, Operation),
            X = new View(preActivation, Operation),
            RowsOfPiece = ActivationRows(dx),
        };
        RunActivation(activation, dx.Rows, ref c, gradient: true);
    }

    /// <inheritdoc/>
    public override void GatedForward(Tensor y, Tensor gate, Tensor up, Activation activation)
    {
        const string Operation = nameof(GatedForward);
        NoteLaunch();
        RequireEqual(y, gate, Operation);
        RequireEqual(y, up, Operation);
        ActivationContext c = new()
        {
            Y = new View(y, Operation),
            X = new View(gate, Operation),
            Up = new View(up, Operation),
            RowsOfPiece = ActivationRows(y),
        };
        RunActivation(activation, y.Rows, ref c, gradient: false);
    }

    /// <inheritdoc/>
    public override void GatedBackward(Tensor dgate, Tensor dup, Tensor dy, Tensor gate, Tensor up, Activation activation)
    {
        const string Operation = nameof(GatedBackward);
        NoteLaunch();
        RequireEqual(dy, dgate, Operation);
        RequireEqual(dy, dup, Operation);
        RequireEqual(dy, gate, Operation);
        RequireEqual(dy, up, Operation);
        ActivationContext c = new()
        {
            Y = new View(dgate, Operation),
            Second = new View(dup, Operation),
            Gradient = new View(dy, Operation),
            X = new View(gate, Operation),
            Up = new View(up, Operation),
            RowsOfPiece = ActivationRows(dy),
        };
        RunActivation(activation, dy.Rows, ref c, gradient: true);
    }

    /// <summary>Rows of a piece: activations cost more an element than copies do.</summary>
    private static int ActivationRows(Tensor tensor) => Math.Max(1, RowsOfPiece(tensor.Columns) / 2);

    private void RunActivation(Activation activation, int rows, ref ActivationContext context, bool gradient)
    {
        delegate*<void*, int, void> body = activation switch
        {
            Activation.None => gradient ? &SlopeBody<IdentityFunction> : &ValueBody<IdentityFunction>,
            Activation.Relu => gradient ? &SlopeBody<ReluFunction> : &ValueBody<ReluFunction>,
            Activation.GeluErf => gradient ? &SlopeBody<GeluErfFunction> : &ValueBody<GeluErfFunction>,
            Activation.GeluTanh => gradient ? &SlopeBody<GeluTanhFunction> : &ValueBody<GeluTanhFunction>,
            Activation.QuickGelu => gradient ? &SlopeBody<QuickGeluFunction> : &ValueBody<QuickGeluFunction>,
            Activation.Silu => gradient ? &SlopeBody<SiluFunction> : &ValueBody<SiluFunction>,
            Activation.Tanh => gradient ? &SlopeBody<TanhFunction> : &ValueBody<TanhFunction>,
            _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, "Unknown activation."),
        };
        fixed (ActivationContext* c = &context)
        {
            Run(Pieces(rows, context.RowsOfPiece), body, c);
        }
    }

    private static void ValueBody<TFunction>(void* context, int piece)
        where TFunction : IActivationFunction
    {
        ref ActivationContext c = ref *(ActivationContext*)context;
        int columns = c.Y.Columns;
        int whole = columns & ~7;
        int rest = columns - whole;
        float* tail = stackalloc float[24];
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* y = c.Y.Row(row);
            float* x = c.X.Row(row);
            float* up = c.Up.Exists ? c.Up.Row(row) : null;
            ValueRow<TFunction>(y, x, up, whole);
            if (rest > 0)
            {
                PutTail(tail, x + whole, rest);
                PutTail(tail + 8, up is null ? x + whole : up + whole, rest);
                ValueRow<TFunction>(tail + 16, tail, up is null ? null : tail + 8, 8);
                new ReadOnlySpan<float>(tail + 16, rest).CopyTo(new Span<float>(y + whole, rest));
            }
        }
    }

    private static void ValueRow<TFunction>(float* y, float* x, float* up, int count)
        where TFunction : IActivationFunction
    {
        if (up is null)
        {
            for (int i = 0; i < count; i += 8)
            {
                TFunction.Value<Simd256, Vector256<float>>(Vector256.Load(x + i)).Store(y + i);
            }
        }
        else
        {
            for (int i = 0; i < count; i += 8)
            {
                (TFunction.Value<Simd256, Vector256<float>>(Vector256.Load(x + i)) * Vector256.Load(up + i)).Store(y + i);
            }
        }
    }

    private static void SlopeBody<TFunction>(void* context, int piece)
        where TFunction : IActivationFunction
    {
        ref ActivationContext c = ref *(ActivationContext*)context;
        int columns = c.Y.Columns;
        int whole = columns & ~7;
        int rest = columns - whole;
        float* tail = stackalloc float[40];
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* dx = c.Y.Row(row);
            float* dy = c.Gradient.Row(row);
            float* x = c.X.Row(row);
            float* up = c.Up.Exists ? c.Up.Row(row) : null;
            float* dup = c.Up.Exists ? c.Second.Row(row) : null;
            SlopeRow<TFunction>(dx, dup, dy, x, up, whole);
            if (rest > 0)
            {
                PutTail(tail, dy + whole, rest);
                PutTail(tail + 8, x + whole, rest);
                PutTail(tail + 16, up is null ? x + whole : up + whole, rest);
                SlopeRow<TFunction>(tail + 24, up is null ? null : tail + 32, tail, tail + 8, up is null ? null : tail + 16, 8);
                new ReadOnlySpan<float>(tail + 24, rest).CopyTo(new Span<float>(dx + whole, rest));
                if (up is not null)
                {
                    new ReadOnlySpan<float>(tail + 32, rest).CopyTo(new Span<float>(dup + whole, rest));
                }
            }
        }
    }

    private static void SlopeRow<TFunction>(float* dx, float* dup, float* dy, float* x, float* up, int count)
        where TFunction : IActivationFunction
    {
        if (up is null)
        {
            for (int i = 0; i < count; i += 8)
            {
                (Vector256.Load(dy + i) * TFunction.Slope<Simd256, Vector256<float>>(Vector256.Load(x + i))).Store(dx + i);
            }
        }
        else
        {
            for (int i = 0; i < count; i += 8)
            {
                Vector256<float> gate = Vector256.Load(x + i);
                Vector256<float> g = Vector256.Load(dy + i);
                Vector256<float> u = Vector256.Load(up + i);
                (g * TFunction.Value<Simd256, Vector256<float>>(gate)).Store(dup + i);
                (g * u * TFunction.Slope<Simd256, Vector256<float>>(gate)).Store(dx + i);
            }
        }
    }

    /// <summary>A short end of a row as a whole vector, filled up with zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutTail(float* tail, float* from, int count)
    {
        Vector256<float>.Zero.Store(tail);
        new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(tail, 8));
    }
}
