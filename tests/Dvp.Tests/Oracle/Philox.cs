namespace Dvp.Tests.Oracle;

/// <summary>Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011), one block at a time: the oracle of every device's dropout.</summary>
internal static class Philox
{
    /// <summary>The four words of a counter (four words) under a key (two words).</summary>
    internal static uint[] Words(uint[] counter, uint[] key)
    {
        (uint c0, uint c1, uint c2, uint c3) = (counter[0], counter[1], counter[2], counter[3]);
        (uint k0, uint k1) = (key[0], key[1]);
        for (int round = 0; round < 10; round++)
        {
            ulong a = 0xD2511F53UL * c0;
            ulong b = 0xCD9E8D57UL * c2;
            (c0, c1, c2, c3) = ((uint)(b >> 32) ^ c1 ^ k0, (uint)b, (uint)(a >> 32) ^ c3 ^ k1, (uint)a);
            k0 = unchecked(k0 + 0x9E3779B9);
            k1 = unchecked(k1 + 0xBB67AE85);
        }

        return [c0, c1, c2, c3];
    }
}
