using System.Globalization;
using System.Text;
using Dvp.Engine.Devices;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Prompting;

namespace Dvp.Training;

/// <summary>
/// What a run depends on, in words: settings, model and examples. Two runs of one identity compute the same bits on one device, so a
/// checkpoint is resumed under its own identity only.
/// </summary>
internal static class RunIdentity
{
    private const ulong HashStart = 14695981039346656037; // FNV-1a, 64 bits
    private const ulong HashFactor = 1099511628211;

    /// <summary>The identity: parts separated by a comma.</summary>
    public static string Of(
        TrainerSettings settings, DvpConfig config, ParameterGroups groups, TrainingSet train, TrainingSet? validation, Backend backend) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{settings.Identity()}{Scaling(settings, backend)}, activations {Name(backend.ActivationType)}, frozen matrices {Name(backend.FrozenMatrixType)}, mode {groups.Mode}, layer {config.Layer?.ToString(CultureInfo.InvariantCulture) ?? "searched"}, " +
            $"prompt {config.Kind}, model {Hash(config):x16}, " +
            $"training examples {Hash(train):x16}, validation examples {Hash(validation):x16}");

    /// <summary>The first part in which two identities differ, as a sentence can name it. A part may be in one of them alone.</summary>
    public static string Difference(string saved, string wanted)
    {
        (string[] before, string[] now) = (saved.Split(", "), wanted.Split(", "));
        string[] gone = [.. before.Except(now, StringComparer.Ordinal)];
        string[] come = [.. now.Except(before, StringComparer.Ordinal)];
        if (gone.Length == 0)
        {
            return come.Length == 0 ? "other settings" : $"other settings than {come[0]}";
        }

        static string Subject(string part) => part[..(part.LastIndexOf(' ') is var end and > 0 ? end : part.Length)];
        string? other = come.FirstOrDefault(p => Subject(p) == Subject(gone[0])) ?? (gone.Length == come.Length ? come[0] : null);
        return other is null ? $"{gone[0]}, which this run has not" : $"{gone[0]}, and this run has {other}";
    }

    /// <summary>The loss scale where it is not the usual one: a checkpoint from before there was any goes on with that.</summary>
    private static string Scaling(TrainerSettings settings, Backend backend) =>
        backend.ActivationType != ElementType.F16 || settings.LossScale == new LossScaleSettings() ? ""
            : settings.LossScale is { } scale ? $", {scale.Identity()}"
            : ", no loss scale";

    private static string Name(ElementType type) => type.ToString().ToLowerInvariant();

    private static ulong Hash(DvpConfig config)
    {
        ulong hash = HashStart;
        foreach (byte b in Encoding.UTF8.GetBytes(config.ToJson()))
        {
            hash = (hash ^ b) * HashFactor;
        }

        return hash;
    }

    /// <summary>Texts, pictures' rows, answers and their scores, in order; the pictures' features have an identity of their own.</summary>
    private static ulong Hash(TrainingSet? set)
    {
        ulong hash = HashStart;
        for (int e = 0; e < (set?.Count ?? 0); e++)
        {
            Mix(set!.Tokens(e).Length);
            foreach (int token in set.Tokens(e))
            {
                Mix(token);
            }

            Mix(set.ImageRow(e));
            foreach ((int label, float score) in set.Answers(e))
            {
                Mix(label);
                Mix(BitConverter.SingleToInt32Bits(score));
            }
        }

        return hash;

        void Mix(int value) => hash = (hash ^ (uint)value) * HashFactor;
    }
}
