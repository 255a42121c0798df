using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    // One number a row, summed in order when all rows are done; kept from call to call.
    private double* _rowLosses;
    private int _rowLossCapacity;

    private struct LossContext
    {
        internal View Logits;
        internal View Gradient;
        internal View Targets;
        internal int* Labels;
        internal double* Losses;
        internal int Ignore;
        internal float Smoothing;
        internal float Scale;
        internal int RowsOfPiece;
    }

    /// <inheritdoc/>
    public override void SoftmaxCrossEntropy(
        Tensor loss, Tensor? dlogits, Tensor logits, Tensor labels, int ignore, float smoothing, float scale, Tensor? lossScale = null)
    {
        const string Operation = nameof(SoftmaxCrossEntropy);
        NoteLaunch();
        LossContext c = Loss(Operation, dlogits, logits);
        c.Labels = Integers(labels, logits.Rows, Operation);
        c.Ignore = ignore;
        c.Smoothing = smoothing;
        int counted = 0;
        for (int row = 0; row < logits.Rows; row++)
        {
            if (c.Labels[row] != ignore)
            {
                counted++;
                if ((uint)c.Labels[row] >= (uint)logits.Columns)
                {
                    throw new DvpException($"The label {c.Labels[row]} of row {row} is outside the {logits.Columns} classes of the head.");
                }
            }
        }

        c.Scale = counted == 0 ? 0 : (float)((double)scale / counted) * Factor(lossScale, Operation);
        Run(Pieces(logits.Rows, c.RowsOfPiece), &CrossEntropyBody, &c);
        *Flat(loss, 1, Operation) = counted == 0 ? 0 : (float)(SumOfLosses(logits.Rows) * scale / counted);
    }

    /// <inheritdoc/>
    public override void BceWithLogits(Tensor loss, Tensor? dlogits, Tensor logits, Tensor targets, float scale, Tensor? lossScale = null)
    {
        const string Operation = nameof(BceWithLogits);
        NoteLaunch();
        RequireEqual(logits, targets, Operation);
        LossContext c = Loss(Operation, dlogits, logits);
        c.Targets = new View(targets, Operation);
        c.Scale = scale / Math.Max(logits.Rows, 1) * Factor(lossScale, Operation);
        Run(Pieces(logits.Rows, c.RowsOfPiece), &BceBody, &c);
        *Flat(loss, 1, Operation) = (float)(SumOfLosses(logits.Rows) * scale / Math.Max(logits.Rows, 1));
    }

    /// <summary>The factor that a loss puts on its gradient: 1 where it is not scaled.</summary>
    private static float Factor(Tensor? lossScale, string operation) => lossScale is null ? 1 : *Flat(lossScale, 1, operation);

    private LossContext Loss(string operation, Tensor? dlogits, Tensor logits)
    {
        RequireEqual(logits, dlogits, operation);
        if (logits.Rows > _rowLossCapacity)
        {
            DisposeLosses();
            _rowLosses = (double*)NativeMemory.Alloc((nuint)logits.Rows, sizeof(double));
            _rowLossCapacity = logits.Rows;
        }

        return new LossContext
        {
            Logits = new View(logits, operation),
            Gradient = Optional(dlogits, operation),
            Losses = _rowLosses,
            RowsOfPiece = Math.Max(1, RowsOfPiece(logits.Columns) / 4),
        };
    }

    private double SumOfLosses(int rows)
    {
        double sum = 0;
        for (int row = 0; row < rows; row++)
        {
            sum += _rowLosses[row];
        }

        return sum;
    }

    private void DisposeLosses()
    {
        NativeMemory.Free(_rowLosses);
        _rowLosses = null;
        _rowLossCapacity = 0;
    }

    // Row loss: log sum exp(z) - (1 - e) z_label - e mean(z); gradient: softmax(z) - (1 - e) onehot - e / classes.
    private static void CrossEntropyBody(void* context, int piece)
    {
        ref LossContext c = ref *(LossContext*)context;
        int classes = c.Logits.Columns;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Logits.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* z = c.Logits.Row(row);
            int label = c.Labels[row];
            if (label == c.Ignore)
            {
                c.Losses[row] = 0;
                if (c.Gradient.Exists)
                {
                    new Span<float>(c.Gradient.Row(row), classes).Clear();
                }

                continue;
            }

            float max = CpuRows.Max(z, classes);
            double sum = SumOfExponentials(z, max, classes);
            double target = (1 - (double)c.Smoothing) * z[label];
            if (c.Smoothing != 0)
            {
                target += (double)c.Smoothing * CpuRows.Sum(z, classes) / classes;
            }

            c.Losses[row] = max + Math.Log(sum) - target;
            if (c.Gradient.Exists)
            {
                float* dz = c.Gradient.Row(row);
                SoftmaxGradient(dz, z, max, (float)(c.Scale / sum), c.Scale * c.Smoothing / classes, classes);
                dz[label] -= c.Scale * (1 - c.Smoothing);
            }
        }
    }

    private static double SumOfExponentials(float* z, float max, int count)
    {
        Vector256<float> m = Vector256.Create(max);
        Vector256<double> low = Vector256<double>.Zero;
        Vector256<double> high = low;
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            (Vector256<double> a, Vector256<double> b) = Vector256.Widen(VectorMath.Exp(Vector256.Load(z + i) - m));
            low += a;
            high += b;
        }

        double sum = Vector256.Sum(low + high);
        for (; i < count; i++)
        {
            sum += MathF.Exp(z[i] - max);
        }

        return sum;
    }

    private static void SoftmaxGradient(float* dz, float* z, float max, float factor, float uniform, int count)
    {
        Vector256<float> m = Vector256.Create(max);
        Vector256<float> f = Vector256.Create(factor);
        Vector256<float> u = Vector256.Create(uniform);
        int i = 0;
        for (; i + 8 <= count; i += 8)
        {
            ((VectorMath.Exp(Vector256.Load(z + i) - m) * f) - u).Store(dz + i);
        }

        for (; i < count; i++)
        {
            dz[i] = (MathF.Exp(z[i] - max) * factor) - uniform;
        }
    }

    // Element loss: max(z, 0) - z y + log(1 + e^-|z|); gradient: sigmoid(z) - y.
    private static void BceBody(void* context, int piece)
    {
        ref LossContext c = ref *(LossContext*)context;
        int labels = c.Logits.Columns;
        float* tail = stackalloc float[16];
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Logits.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* z = c.Logits.Row(row);
            float* y = c.Targets.Row(row);
            float* dz = c.Gradient.Exists ? c.Gradient.Row(row) : null;
            Vector256<double> low = Vector256<double>.Zero;
            Vector256<double> high = low;
            int i = 0;
            for (; i + 8 <= labels; i += 8)
            {
                Vector256<float> loss = BceElements(Vector256.Load(z + i), Vector256.Load(y + i), c.Scale, dz is null ? null : dz + i);
                (Vector256<double> a, Vector256<double> b) = Vector256.Widen(loss);
                low += a;
                high += b;
            }

            double sum = Vector256.Sum(low + high);
            int rest = labels - i;
            if (rest > 0)
            {
                new Span<float>(tail, 16).Clear();
                new ReadOnlySpan<float>(z + i, rest).CopyTo(new Span<float>(tail, 8));
                new ReadOnlySpan<float>(y + i, rest).CopyTo(new Span<float>(tail + 8, 8));
                Vector256<float> loss = BceElements(Vector256.Load(tail), Vector256.Load(tail + 8), c.Scale, tail);
                for (int lane = 0; lane < rest; lane++)
                {
                    sum += loss[lane];
                }

                if (dz is not null)
                {
                    new ReadOnlySpan<float>(tail, rest).CopyTo(new Span<float>(dz + i, rest));
                }
            }

            c.Losses[row] = sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> BceElements(Vector256<float> z, Vector256<float> y, float scale, float* gradient)
    {
        Vector256<float> one = Vector256<float>.One;
        Vector256<float> e = VectorMath.Exp(-Vector256.Abs(z));
        if (gradient is not null)
        {
            Vector256<float> inverse = one / (one + e);
            Vector256<float> sigmoid = Vector256.ConditionalSelect(
                Vector256.GreaterThanOrEqual(z, Vector256<float>.Zero), inverse, e * inverse);
            ((sigmoid - y) * Vector256.Create(scale)).Store(gradient);
        }

        return Vector256.MaxNative(z, Vector256<float>.Zero) - (z * y) + Log1p(e);
    }

    /// <summary>log(1 + e) for e in [0, 1], as 2 artanh(e / (2 + e)): no cancellation at small e.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Log1p(Vector256<float> e)
    {
        Vector256<float> s = e / (e + Vector256.Create(2f));
        Vector256<float> t = s * s;
        Vector256<float> p = Vector256.Create(2f / 15);
        p = Vector256.MultiplyAddEstimate(p, t, Vector256.Create(2f / 13));
        p = Vector256.MultiplyAddEstimate(p, t, Vector256.Create(2f / 11));
        p = Vector256.MultiplyAddEstimate(p, t, Vector256.Create(2f / 9));
        p = Vector256.MultiplyAddEstimate(p, t, Vector256.Create(2f / 7));
        p = Vector256.MultiplyAddEstimate(p, t, Vector256.Create(2f / 5));
        p = Vector256.MultiplyAddEstimate(p, t, Vector256.Create(2f / 3));
        p = Vector256.MultiplyAddEstimate(p, t, Vector256.Create(2f));
        return s * p;
    }
}
