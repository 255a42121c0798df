namespace Dvp.Models.Images;

/// <summary>One component of a JPEG frame, its place in the grid of blocks and the state that scans keep of it.</summary>
internal sealed class JpegComponent(byte id, int across, int down, int table)
{
    public byte Id { get; } = id;

    /// <summary>Blocks in an MCU, horizontally.</summary>
    public int Across { get; } = across;

    /// <summary>Blocks in an MCU, vertically.</summary>
    public int Down { get; } = down;

    /// <summary>Number of its quantisation table.</summary>
    public int Table { get; } = table;

    /// <summary>Blocks that hold samples of the picture, in a row.</summary>
    public int BlockColumns { get; private set; }

    /// <summary>Rows of blocks that hold samples of the picture.</summary>
    public int BlockRows { get; private set; }

    /// <summary>Blocks in a row, whole MCUs.</summary>
    public int StoredColumns { get; private set; }

    /// <summary>Rows of blocks, whole MCUs.</summary>
    public int StoredRows { get; private set; }

    /// <summary>(8 StoredRows, 8 StoredColumns) samples.</summary>
    public byte[] Samples { get; private set; } = [];

    /// <summary>(StoredRows, StoredColumns, 64) quantised coefficients in natural order; progressive only.</summary>
    public short[] Coefficients { get; private set; } = [];

    /// <summary>The quantisation table as it was when its first scan began.</summary>
    public ushort[]? Quantisation { get; set; }

    /// <summary>The last constant coefficient, which the next one is coded against.</summary>
    public int Prediction { get; set; }

    public JpegHuffman? ConstantCodes { get; set; }

    public JpegHuffman? Codes { get; set; }

    public int Stride => 8 * StoredColumns;

    public void Place(int width, int height, int maxAcross, int maxDown)
    {
        BlockColumns = Ceiling(Ceiling(width * Across, maxAcross), 8);
        BlockRows = Ceiling(Ceiling(height * Down, maxDown), 8);
        StoredColumns = Ceiling(width, 8 * maxAcross) * Across;
        StoredRows = Ceiling(height, 8 * maxDown) * Down;
    }

    public void Allocate(bool progressive)
    {
        int samples = 64 * StoredRows * StoredColumns;
        Samples = GC.AllocateUninitializedArray<byte>(samples);
        Coefficients = progressive ? new short[samples] : [];
    }

    private static int Ceiling(int a, int b) => (a + b - 1) / b;
}
