namespace Dvp.Tests.Oracle;

/// <summary>Rounding to 16-bit floats, written from the definition of the formats.</summary>
internal static class SixteenBit
{
    /// <summary>The bit pattern of the bfloat16 nearest to a float, ties to even.</summary>
    internal static ushort BFloat16Bits(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
        {
            return (ushort)((bits >> 16) | 0x40);
        }

        uint kept = bits >> 16;
        uint dropped = bits & 0xFFFF;
        bool up = dropped > 0x8000 || (dropped == 0x8000 && (kept & 1) == 1);
        return (ushort)(up ? kept + 1 : kept);
    }
}
