namespace Dvp.Engine.IO;

/// <summary>Maps names in older or wrapped files to those that the models ask for.</summary>
public static class WeightNames
{
    /// <summary>
    /// A mapping that strips one leading prefix where it is there (<c>bert.</c>, <c>model.</c>) and gives normalisation parameters their
    /// present names (<c>gamma</c> becomes <c>weight</c>, <c>beta</c> becomes <c>bias</c>).
    /// </summary>
    /// <param name="prefixes">Prefixes, each with its dot; the first that fits is stripped.</param>
    public static Func<string, string> Modern(params string[] prefixes) => name =>
    {
        foreach (string prefix in prefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal))
            {
                name = name[prefix.Length..];
                break;
            }
        }

        return name.EndsWith(".gamma", StringComparison.Ordinal) ? name[..^"gamma".Length] + "weight"
            : name.EndsWith(".beta", StringComparison.Ordinal) ? name[..^"beta".Length] + "bias"
            : name;
    };
}
