using System.Globalization;

namespace Dvp.Cuda;

/// <summary>A CUDA version, of a driver or of a library: 12.4, 13.0.</summary>
/// <param name="Major">Machine code of another major version cannot be counted on.</param>
/// <param name="Minor">Drivers run the machine code of any minor version of their major version, and of all older ones.</param>
public readonly record struct CudaVersion(int Major, int Minor) : IComparable<CudaVersion>
{
    /// <summary>From the driver's number: 12040 is 12.4.</summary>
    public static CudaVersion FromNumber(int number) => new(number / 1000, number % 1000 / 10);

    /// <inheritdoc/>
    public int CompareTo(CudaVersion other) => Major != other.Major ? Major.CompareTo(other.Major) : Minor.CompareTo(other.Minor);

    /// <summary>Older than.</summary>
    public static bool operator <(CudaVersion left, CudaVersion right) => left.CompareTo(right) < 0;

    /// <summary>Newer than.</summary>
    public static bool operator >(CudaVersion left, CudaVersion right) => left.CompareTo(right) > 0;

    /// <summary>Not newer than.</summary>
    public static bool operator <=(CudaVersion left, CudaVersion right) => left.CompareTo(right) <= 0;

    /// <summary>Not older than.</summary>
    public static bool operator >=(CudaVersion left, CudaVersion right) => left.CompareTo(right) >= 0;

    /// <summary>major.minor</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}");
}
