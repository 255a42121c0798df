using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Elements of a piece; fixed, so that sums do not depend on the number of threads.</summary>
    private const int OptimizerPiece = 16384;

    // Pieces of all tensors of the step that runs; kept from call to call.
    private OptimizerPieceEntry* _optimizerPieces;
    private int _optimizerCapacity;

    /// <summary>A run of elements of one tensor with that tensor's numbers.</summary>
    private struct OptimizerPieceEntry
    {
        internal float* Value;
        internal float* Gradient;
        internal float* First;
        internal float* Second;
        internal int Count;

        // value = value * Shrink - Rate * m / (sqrt(v) * RootScale + epsilon), then value -= LateDecay * value.
        internal float Rate;
        internal float RootScale;
        internal float Shrink;
        internal float LateDecay;
        internal double SquareSum;
    }

    private struct OptimizerContext
    {
        internal OptimizerPieceEntry* Pieces;
        internal float Beta1;
        internal float Beta2;
        internal float Epsilon;
        internal float Clip; // over the loss scale
    }

    /// <inheritdoc/>
    public override void GlobalNorm(Tensor norm, IReadOnlyList<Tensor> gradients, Tensor? lossScale = null)
    {
        const string Operation = nameof(GlobalNorm);
        NoteLaunch();
        float* result = Flat(norm, 1, Operation);
        int pieces = 0;
        for (int i = 0; i < gradients.Count; i++)
        {
            pieces += Pieces(checked((int)gradients[i].Count), OptimizerPiece);
        }

        ReserveOptimizer(pieces);
        int piece = 0;
        for (int i = 0; i < gradients.Count; i++)
        {
            float* gradient = Flat(gradients[i], gradients[i].Count, Operation);
            int count = (int)gradients[i].Count;
            for (int start = 0; start < count; start += OptimizerPiece, piece++)
            {
                _optimizerPieces[piece] = new OptimizerPieceEntry
                {
                    Gradient = gradient + start,
                    Count = Math.Min(OptimizerPiece, count - start),
                };
            }
        }

        OptimizerContext c = new() { Pieces = _optimizerPieces };
        Run(pieces, &GlobalNormBody, &c);
        double sum = 0;
        for (int i = 0; i < pieces; i++)
        {
            sum += _optimizerPieces[i].SquareSum;
        }

        *result = (float)(Math.Sqrt(sum) / Factor(lossScale, Operation));
    }

    /// <inheritdoc/>
    public override void AdamW(
        IReadOnlyList<AdamWParameter> parameters, in AdamWOptions options, Tensor rate, Tensor updateCounts, Tensor? norm, Tensor? loss,
        Tensor? lossScale = null)
    {
        const string Operation = nameof(AdamW);
        NoteLaunch();
        float baseRate = *Flat(rate, 1, Operation);
        int* counts = Integers(updateCounts, parameters.Count, Operation);
        float clip = 1;
        if (norm is not null)
        {
            float length = *Flat(norm, 1, Operation);
            if (!float.IsFinite(length))
            {
                return;
            }

            clip = options.MaxNorm > 0 ? Math.Min(1, options.MaxNorm / (length + 1e-6f)) : 1;
        }

        if (loss is not null && !float.IsFinite(*Flat(loss, 1, Operation)))
        {
            return;
        }

        int pieces = 0;
        for (int i = 0; i < parameters.Count; i++)
        {
            pieces += parameters[i].Active ? Pieces(checked((int)parameters[i].Value.Count), OptimizerPiece) : 0;
        }

        ReserveOptimizer(pieces);
        int piece = 0;
        for (int i = 0; i < parameters.Count; i++)
        {
            if (parameters[i].Active)
            {
                piece = AddAdamWPieces(piece, parameters[i], options, baseRate, ++counts[i], Operation);
            }
        }

        OptimizerContext c = new()
        {
            Pieces = _optimizerPieces,
            Beta1 = options.Beta1,
            Beta2 = options.Beta2,
            Epsilon = options.Epsilon,
            Clip = clip / Factor(lossScale, Operation),
        };
        Run(pieces, &AdamWBody, &c);
    }

    /// <inheritdoc/>
    public override void UpdateLossScale(Tensor state, Tensor norm, in LossScaleOptions options)
    {
        const string Operation = nameof(UpdateLossScale);
        NoteLaunch();
        float* s = Flat(state, 3, Operation);
        bool good = float.IsFinite(*Flat(norm, 1, Operation));
        s[1] = good ? s[1] + 1 : 0;
        if (!good)
        {
            s[0] = Math.Max(s[0] * options.Shrinkage, options.Smallest);
            s[2]++;
        }
        else if (s[1] >= options.Interval)
        {
            s[0] = Math.Min(s[0] * options.Growth, options.Largest);
            s[1] = 0;
        }
    }

    private int AddAdamWPieces(int piece, AdamWParameter parameter, in AdamWOptions options, float baseRate, int count, string operation)
    {
        long total = parameter.Value.Count;
        OptimizerPieceEntry entry = new()
        {
            Value = Flat(parameter.Value, total, operation),
            Gradient = Flat(parameter.Gradient, total, operation),
            First = Flat(parameter.FirstMoment, total, operation),
            Second = Flat(parameter.SecondMoment, total, operation),
        };
        double rate = (double)baseRate * parameter.RateMultiplier;
        double correction1 = 1 - Math.Pow(options.Beta1, count);
        double correction2 = Math.Sqrt(1 - Math.Pow(options.Beta2, count));
        if (options.DecoupledFirst)
        {
            entry.Shrink = (float)(1 - (rate * parameter.Decay));
            entry.Rate = (float)(rate / correction1);
            entry.RootScale = (float)(1 / correction2);
        }
        else
        {
            entry.Shrink = 1;
            entry.Rate = (float)(rate * correction2 / correction1);
            entry.RootScale = 1;
            entry.LateDecay = (float)(rate * parameter.Decay);
        }

        for (long start = 0; start < total; start += OptimizerPiece, piece++)
        {
            entry.Count = (int)Math.Min(OptimizerPiece, total - start);
            _optimizerPieces[piece] = entry;
            entry.Value += entry.Count;
            entry.Gradient += entry.Count;
            entry.First += entry.Count;
            entry.Second += entry.Count;
        }

        return piece;
    }

    private static void GlobalNormBody(void* context, int piece)
    {
        ref OptimizerPieceEntry p = ref ((OptimizerContext*)context)->Pieces[piece];
        Vector256<double> s0 = Vector256<double>.Zero;
        Vector256<double> s1 = s0;
        int i = 0;
        for (; i + 8 <= p.Count; i += 8)
        {
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(Vector256.Load(p.Gradient + i));
            s0 = Vector256.MultiplyAddEstimate(low, low, s0);
            s1 = Vector256.MultiplyAddEstimate(high, high, s1);
        }

        double sum = Vector256.Sum(s0 + s1);
        for (; i < p.Count; i++)
        {
            sum += (double)p.Gradient[i] * p.Gradient[i];
        }

        p.SquareSum = sum;
    }

    private static void AdamWBody(void* context, int piece)
    {
        ref OptimizerContext c = ref *(OptimizerContext*)context;
        OptimizerPieceEntry p = c.Pieces[piece];
        Vector256<float> beta1 = Vector256.Create(c.Beta1);
        Vector256<float> beta2 = Vector256.Create(c.Beta2);
        Vector256<float> rest1 = Vector256.Create(1 - c.Beta1);
        Vector256<float> rest2 = Vector256.Create(1 - c.Beta2);
        Vector256<float> clip = Vector256.Create(c.Clip);
        Vector256<float> epsilon = Vector256.Create(c.Epsilon);
        Vector256<float> rootScale = Vector256.Create(p.RootScale);
        Vector256<float> shrink = Vector256.Create(p.Shrink);
        Vector256<float> rate = Vector256.Create(-p.Rate);
        Vector256<float> lateDecay = Vector256.Create(-p.LateDecay);
        int i = 0;
        for (; i + 8 <= p.Count; i += 8)
        {
            Vector256<float> g = Vector256.Load(p.Gradient + i) * clip;
            Vector256<float> m = Vector256.MultiplyAddEstimate(beta1, Vector256.Load(p.First + i), rest1 * g);
            Vector256<float> v = Vector256.MultiplyAddEstimate(beta2, Vector256.Load(p.Second + i), rest2 * g * g);
            m.Store(p.First + i);
            v.Store(p.Second + i);
            Vector256<float> step = m / Vector256.MultiplyAddEstimate(Vector256.Sqrt(v), rootScale, epsilon);
            Vector256<float> value = Vector256.MultiplyAddEstimate(rate, step, Vector256.Load(p.Value + i) * shrink);
            Vector256.MultiplyAddEstimate(lateDecay, value, value).Store(p.Value + i);
        }

        for (; i < p.Count; i++)
        {
            float g = p.Gradient[i] * c.Clip;
            float m = (c.Beta1 * p.First[i]) + ((1 - c.Beta1) * g);
            float v = (c.Beta2 * p.Second[i]) + ((1 - c.Beta2) * g * g);
            p.First[i] = m;
            p.Second[i] = v;
            float value = (p.Value[i] * p.Shrink) - (p.Rate * (m / ((MathF.Sqrt(v) * p.RootScale) + c.Epsilon)));
            p.Value[i] = value - (p.LateDecay * value);
        }
    }

    private void ReserveOptimizer(int pieces)
    {
        if (pieces > _optimizerCapacity)
        {
            DisposeOptimizer();
            _optimizerPieces = (OptimizerPieceEntry*)NativeMemory.Alloc((nuint)pieces, (nuint)sizeof(OptimizerPieceEntry));
            _optimizerCapacity = pieces;
        }
    }

    private void DisposeOptimizer()
    {
        NativeMemory.Free(_optimizerPieces);
        _optimizerPieces = null;
        _optimizerCapacity = 0;
    }
}
