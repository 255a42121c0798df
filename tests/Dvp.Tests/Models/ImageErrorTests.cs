using System.Diagnostics;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Models.Images;
using Dvp.Tests.Tasks;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>Broken, hostile and unsupported files.</summary>
public class ImageErrorTests
{
    public static TheoryData<string, string> BadFiles()
    {
        using JsonDocument list = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Path("images/bad/bad.json")));
        TheoryData<string, string> data = [];
        foreach (JsonElement file in list.RootElement.GetProperty("files").EnumerateArray())
        {
            data.Add(file.GetProperty("file").GetString()!, file.GetProperty("expect").GetString()!);
        }

        return data;
    }

    [Fact]
    public void Every_bad_file_is_listed() =>
        Assert.Equal(Directory.GetFiles(Fixtures.Path("images/bad")).Length - 1, BadFiles().Count);

    [Theory]
    [MemberData(nameof(BadFiles))]
    public void Bad_files_are_refused_fast_and_small(string file, string expect)
    {
        string path = Fixtures.Path("images/bad/" + file);
        long start = Stopwatch.GetTimestamp();
        long before = GC.GetAllocatedBytesForCurrentThread();
        DvpException? error = null;
        try
        {
            ImageDecoder.Decode(path);
        }
        catch (DvpException e)
        {
            error = e;
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(1));
        Assert.True(allocated < 200_000_000, $"{allocated} bytes");
        if (error is null)
        {
            Assert.Equal("error or image", expect);
        }
        else
        {
            Assert.Contains(path, error.Message);
            Assert.DoesNotContain('\n', error.Message);
            Assert.Equal(DvpExitCode.BadInput, error.ExitCode);
        }
    }

    [Fact]
    public void Unsupported_formats_are_named_with_the_supported_ones() =>
        Errors.Contains(() => ImageDecoder.Decode(Fixtures.Path("images/bad/unsupported.webp")), "WebP", "PNG, JPEG, GIF and BMP");

    [Fact]
    public void A_missing_file_is_named() =>
        Errors.Contains(() => ImageDecoder.Decode("/nowhere/at all.png"), "/nowhere/at all.png");

    [Fact]
    public void The_pixel_limit_can_be_set()
    {
        string path = Fixtures.Path("images/png-rgb/image.png");
        Errors.Contains(() => ImageDecoder.Decode(path, new ImageLimits(1000)), path, "47x31", "--max-pixels");
        Assert.Equal(47, ImageDecoder.Decode(path, new ImageLimits(47 * 31)).Width);
    }

    /// <summary>Whatever is in a file, it gives a picture or one clear error, and no other exception.</summary>
    [Fact]
    public void Damage_anywhere_gives_a_picture_or_a_clear_error()
    {
        Random random = new(20230601);
        int refused = 0;
        int accepted = 0;
        string[] large = ["images/resize-ops", "images/photo-size", "images/up-224"];
        foreach (string name in Fixtures.Cases("images").Except(large))
        {
            byte[] whole = File.ReadAllBytes(Directory.GetFiles(Fixtures.Path(name), "image.*").Single());
            for (int i = 0; i < 60; i++)
            {
                byte[] data = [.. whole];
                if (i % 3 == 0)
                {
                    data = data[..random.Next(data.Length)];
                }
                else
                {
                    for (int n = 0; n < 1 + (i % 4); n++)
                    {
                        // Half of the damage goes to the headers.
                        data[random.Next(i % 2 == 0 ? data.Length : Math.Min(data.Length, 700))] = (byte)random.Next(256);
                    }
                }

                try
                {
                    DecodedImage image = ImageDecoder.Decode(data, "damaged", new ImageLimits(1 << 20));
                    Assert.Equal(image.Width * image.Height * 3, image.Rgb.Length);
                    accepted++;
                }
                catch (DvpException e)
                {
                    Assert.Contains("damaged", e.Message);
                    refused++;
                }
            }
        }

        Assert.True(refused > 500 && accepted > 50, $"{refused} refused, {accepted} accepted");
    }

    /// <summary>A cut JPEG stays refused when an end marker is put behind what is left of it.</summary>
    [Theory]
    [InlineData("jpeg-q95-444")]
    [InlineData("jpeg-progressive")]
    [InlineData("jpeg-restart")]
    public void A_cut_scan_is_refused_even_with_an_end_marker(string name)
    {
        byte[] whole = File.ReadAllBytes(Fixtures.Path($"images/{name}/image.jpg"));
        byte[] cut = [.. whole[..(whole.Length * 2 / 3)], 0xFF, 0xD9];
        if (cut[^3] == 0xFF)
        {
            cut[^3] = 0;
        }

        if (name == "jpeg-progressive")
        {
            // Later scans only refine: without them there is a picture, but the cut one is short.
            cut = [.. whole[..(whole.Length / 3)], 0, 0xFF, 0xD9];
        }

        Errors.Contains(() => ImageDecoder.Decode(cut, "cut.jpg"), "cut.jpg", "damaged");
    }
}
