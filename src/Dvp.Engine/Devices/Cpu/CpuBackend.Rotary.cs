using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Positions whose sines are kept; beyond, they are computed where they are needed.</summary>
    private const int RotaryTablePositions = 1 << 15;

    private float* _rotaryTable;
    private int _rotaryPositions;
    private int _rotaryHalf;
    private float _rotaryTheta;

    private struct RotaryContext
    {
        internal View Y;
        internal View X;
        internal int* Positions;
        internal int Heads;
        internal int Half;
        internal float Theta;
        internal float Direction;
        internal float* Frequencies;
        internal float* Table;
        internal int TablePositions;
        internal int RowsOfPiece;
    }

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction)
    {
        RotaryContext c = RotaryArguments(y, x, positions, heads, direction);
        c.Theta = theta;
        int last = 0;
        for (int row = 0; row < x.Rows; row++)
        {
            last = Math.Max(last, c.Positions[row]);
        }

        ReserveRotaryTable(Math.Min(last + 1, RotaryTablePositions), c.Half, theta);
        c.Table = _rotaryTable;
        c.TablePositions = _rotaryPositions;
        Run(Pieces(x.Rows, c.RowsOfPiece), &RotaryBody, &c);
    }

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, Tensor frequencies, int direction)
    {
        RotaryContext c = RotaryArguments(y, x, positions, heads, direction);
        c.Frequencies = Flat(frequencies, c.Half, nameof(Rotary));
        Run(Pieces(x.Rows, c.RowsOfPiece), &RotaryBody, &c);
    }

    private RotaryContext RotaryArguments(Tensor y, Tensor x, Tensor positions, int heads, int direction)
    {
        const string Operation = nameof(Rotary);
        NoteLaunch();
        RequireEqual(y, x, Operation);
        Require(heads > 0 && x.Columns % (2 * heads) == 0, Operation, x);
        return new RotaryContext
        {
            Y = new View(y, Operation),
            X = new View(x, Operation),
            Positions = Integers(positions, x.Rows, Operation),
            Heads = heads,
            Half = x.Columns / heads / 2,
            Direction = direction,
            RowsOfPiece = RowsOfPiece(x.Columns),
        };
    }

    private static void RotaryBody(void* context, int piece)
    {
        ref RotaryContext c = ref *(RotaryContext*)context;
        int half = c.Half;
        float* own = null;
        Vector256<float> direction = Vector256.Create(c.Direction);
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.X.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            int position = c.Positions[row];
            float* angles;
            if ((uint)position < (uint)c.TablePositions)
            {
                angles = c.Table + ((long)position * 2 * half);
            }
            else
            {
                own = own is null ? CpuScratch.Floats(2 * half) : own;
                RotaryAngles(own, position, half, c.Theta, c.Frequencies);
                angles = own;
            }

            float* cos = angles;
            float* sin = angles + half;
            for (int head = 0; head < c.Heads; head++)
            {
                float* x = c.X.Row(row) + ((long)head * 2 * half);
                float* y = c.Y.Row(row) + ((long)head * 2 * half);
                int i = 0;
                for (; i + 8 <= half; i += 8)
                {
                    Vector256<float> a = Vector256.Load(x + i);
                    Vector256<float> b = Vector256.Load(x + half + i);
                    Vector256<float> co = Vector256.Load(cos + i);
                    Vector256<float> si = Vector256.Load(sin + i) * direction;
                    ((a * co) - (b * si)).Store(y + i);
                    ((b * co) + (a * si)).Store(y + half + i);
                }

                for (; i < half; i++)
                {
                    float a = x[i];
                    float b = x[half + i];
                    float si = sin[i] * c.Direction;
                    y[i] = (a * cos[i]) - (b * si);
                    y[half + i] = (b * cos[i]) + (a * si);
                }
            }
        }
    }

    /// <summary>Cosines, then sines, of position * frequency, theta^(-i / half) unless it is given; in double, because far positions have large angles.</summary>
    private static void RotaryAngles(float* angles, int position, int half, float theta, float* frequencies)
    {
        for (int i = 0; i < half; i++)
        {
            double frequency = frequencies is null ? Math.Pow(theta, -(double)i / half) : frequencies[i];
            (double sin, double cos) = Math.SinCos(position * frequency);
            angles[i] = (float)cos;
            angles[half + i] = (float)sin;
        }
    }

    private void ReserveRotaryTable(int positions, int half, float theta)
    {
        if (positions <= _rotaryPositions && half == _rotaryHalf && theta == _rotaryTheta)
        {
            return;
        }

        DisposeRotaryTable();
        positions = Math.Min(Math.Max(64, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)positions)), RotaryTablePositions);
        _rotaryTable = (float*)NativeMemory.Alloc((nuint)positions * 2 * (nuint)half * sizeof(float));
        for (int position = 0; position < positions; position++)
        {
            RotaryAngles(_rotaryTable + ((long)position * 2 * half), position, half, theta, frequencies: null);
        }

        (_rotaryPositions, _rotaryHalf, _rotaryTheta) = (positions, half, theta);
    }

    private void DisposeRotaryTable()
    {
        NativeMemory.Free(_rotaryTable);
        _rotaryTable = null;
        _rotaryPositions = 0;
    }
}
