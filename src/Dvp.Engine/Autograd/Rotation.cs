using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

/// <summary>Rotary positions of some rows (Su et al. 2021): pairs (i, i + D/2) of every head turn by position * theta^(-2i/D).</summary>
/// <param name="Positions">I32, one for each row</param>
/// <param name="Theta">Base of the frequencies.</param>
/// <param name="Frequencies">(D / 2) in place of theta^(-2i/D), for models that scale them; or null</param>
public sealed record Rotation(Tensor Positions, float Theta, Tensor? Frequencies = null)
{
    /// <summary>Turns the rows of <paramref name="x"/> in place, forwards or back.</summary>
    internal void Turn(Backend backend, Tensor x, int heads, int direction)
    {
        if (Frequencies is null)
        {
            backend.Rotary(x, x, Positions, heads, Theta, direction);
        }
        else
        {
            backend.Rotary(x, x, Positions, heads, Frequencies, direction);
        }
    }
}
