namespace Dvp.Engine.Optim;

/// <summary>The form of the decay after the warm-up.</summary>
public enum RateDecay
{
    /// <summary>None.</summary>
    Constant,

    /// <summary>end + (rate - end) (1 - progress)^power, and the end rate past the last step; power 1 is linear.</summary>
    Polynomial,

    /// <summary>Half a cosine from rate to end.</summary>
    Cosine,
}

/// <summary>
/// The learning rate of each optimiser step: a linear warm-up from 0, then a decay. Parameter groups multiply it by their own factor.
/// </summary>
/// <remarks>
/// Step 0 is the first. With a warm-up its rate is 0, so that the first update changes nothing but the moments. Positions are steps, or
/// epochs with fractions for <see cref="CosineByEpoch"/>; <see cref="At(double)"/> takes either.
/// </remarks>
public sealed record LearningRateSchedule
{
    private LearningRateSchedule(RateDecay decay, double rate, double end, double warmup, double length, double power)
    {
        if (!(rate >= 0) || !(end >= 0) || !(warmup >= 0) || !(length >= 0) || !(power > 0))
        {
            throw new DvpException(
                $"Learning rate {rate}, end {end}, warm-up {warmup}, length {length} and power {power} must not be negative.");
        }

        (Decay, Rate, EndRate, Warmup, Length, Power) = (decay, rate, end, warmup, length, power);
    }

    /// <summary>Form of the decay.</summary>
    public RateDecay Decay { get; }

    /// <summary>The rate at the end of the warm-up.</summary>
    public double Rate { get; }

    /// <summary>The rate at the end of the decay.</summary>
    public double EndRate { get; }

    /// <summary>Length of the warm-up, in steps or epochs.</summary>
    public double Warmup { get; }

    /// <summary>Where the decay ends, in steps or epochs, counted from the start.</summary>
    public double Length { get; }

    /// <summary>Power of a polynomial decay.</summary>
    public double Power { get; }

    /// <summary>Warm-up, then a constant rate; the search uses it without a warm-up.</summary>
    /// <param name="rate">The rate.</param>
    /// <param name="warmup">Steps of the warm-up.</param>
    public static LearningRateSchedule Constant(double rate, int warmup = 0) => new(RateDecay.Constant, rate, rate, warmup, 0, 1);

    /// <summary>Warm-up, then polynomial decay.</summary>
    /// <param name="rate">The rate after the warm-up.</param>
    /// <param name="steps">All steps of the run, the warm-up's included.</param>
    /// <param name="warmup">Steps of the warm-up, see <see cref="WarmupSteps"/>.</param>
    /// <param name="power">1 for linear.</param>
    /// <param name="endRate">Rate of the last step and beyond.</param>
    public static LearningRateSchedule Polynomial(double rate, int steps, int warmup, double power = 1, double endRate = 0) =>
        new(RateDecay.Polynomial, rate, endRate, warmup, steps, power);

    /// <summary>Warm-up, then half a cosine to 0.</summary>
    /// <param name="rate">The rate after the warm-up.</param>
    /// <param name="steps">All steps of the run, the warm-up's included. Past them the curve would rise again.</param>
    /// <param name="warmup">Steps of the warm-up, see <see cref="WarmupSteps"/>.</param>
    public static LearningRateSchedule Cosine(double rate, int steps, int warmup) => new(RateDecay.Cosine, rate, 0, warmup, steps, 1);

    /// <summary>
    /// ScienceQA's: warm-up and half a cosine over epochs with fractions. The position of a step is epoch + batch / batches of the epoch,
    /// taken at the first batch of those whose gradients the step accumulates.
    /// </summary>
    /// <param name="rate">The rate after the warm-up.</param>
    /// <param name="epochs">Epochs of the run.</param>
    /// <param name="warmupEpochs">Epochs of the warm-up.</param>
    /// <param name="endRate">Rate at the end.</param>
    public static LearningRateSchedule CosineByEpoch(double rate, double epochs, double warmupEpochs, double endRate = 0) =>
        new(RateDecay.Cosine, rate, endRate, warmupEpochs, epochs, 1);

    /// <summary>
    /// Steps of a warm-up given as the published settings do: below 1 a fraction of all steps, rounded down; from 1 on a number of
    /// steps.
    /// </summary>
    /// <param name="warmup">Fraction or number.</param>
    /// <param name="steps">All steps.</param>
    public static int WarmupSteps(double warmup, int steps) => warmup < 1 ? (int)(warmup * steps) : (int)warmup;

    /// <summary>The rate at a position.</summary>
    /// <param name="position">Number of the step, from 0; or the epoch with its fraction.</param>
    public double At(double position)
    {
        if (position < Warmup)
        {
            return Rate * (position / Warmup);
        }

        double progress = Length > Warmup ? (position - Warmup) / (Length - Warmup) : 1;
        return Decay switch
        {
            RateDecay.Polynomial => progress >= 1 ? EndRate : EndRate + ((Rate - EndRate) * Math.Pow(1 - progress, Power)),
            RateDecay.Cosine => EndRate + ((Rate - EndRate) * Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * progress)))),
            _ => Rate,
        };
    }
}
