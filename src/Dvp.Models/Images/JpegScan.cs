namespace Dvp.Models.Images;

/// <summary>
/// Decodes one scan: sequential blocks straight to samples, progressive ones (ITU-T T.81 annex G) into the components'
/// coefficients.
/// </summary>
internal ref struct JpegScan
{
    private readonly JpegHeader _header;
    private readonly JpegComponent[] _components;
    private readonly int _restartInterval;
    private readonly int _first;
    private readonly int _last;
    private readonly int _low;
    private readonly bool _refine;
    private readonly short[] _block = new short[64];
    private JpegBits _bits;
    private int _run; // blocks without further coefficients, progressive only

    /// <summary>Prepares a scan.</summary>
    /// <param name="header">The picture.</param>
    /// <param name="components">The components of the scan, with their tables.</param>
    /// <param name="spectrum">The last three bytes of the scan header: first and last coefficient, bit positions.</param>
    /// <param name="restartInterval">MCUs between restart markers, 0 for none.</param>
    /// <param name="data">Entropy-coded data.</param>
    public JpegScan(JpegHeader header, JpegComponent[] components, ReadOnlySpan<byte> spectrum, int restartInterval,
        ReadOnlySpan<byte> data)
    {
        _header = header;
        _components = components;
        _restartInterval = restartInterval;
        _bits = new JpegBits(data);
        _first = spectrum[0];
        _last = spectrum[1];
        _low = spectrum[2] & 15;
        _refine = spectrum[2] >> 4 != 0;
        bool valid = header.Progressive
            ? _first <= _last && _last < 64 && _low <= 13 && (_first > 0 ? components.Length == 1 : _last == 0)
            : _first == 0;
        if (!valid)
        {
            throw new InvalidDataException("impossible JPEG scan");
        }
    }

    /// <summary>Decodes all of the scan.</summary>
    public void Decode()
    {
        Reset();
        int columns;
        int rows;
        if (_components.Length == 1)
        {
            columns = _components[0].BlockColumns;
            rows = _components[0].BlockRows;
        }
        else
        {
            columns = _components[0].StoredColumns / _components[0].Across;
            rows = _components[0].StoredRows / _components[0].Down;
        }

        int left = _restartInterval;
        for (int y = 0; y < rows; y++)
        {
            for (int x = 0; x < columns; x++)
            {
                if (_restartInterval > 0 && left-- == 0)
                {
                    _bits.Restart();
                    Reset();
                    left = _restartInterval - 1;
                }

                Unit(x, y);
            }
        }

        _bits.CheckEnd();
    }

    private void Reset()
    {
        _run = 0;
        foreach (JpegComponent component in _components)
        {
            component.Prediction = 0;
        }
    }

    private void Unit(int x, int y)
    {
        if (_components.Length == 1)
        {
            Block(_components[0], x, y);
            return;
        }

        foreach (JpegComponent component in _components)
        {
            for (int v = 0; v < component.Down; v++)
            {
                for (int h = 0; h < component.Across; h++)
                {
                    Block(component, (x * component.Across) + h, (y * component.Down) + v);
                }
            }
        }
    }

    private void Block(JpegComponent component, int x, int y)
    {
        if (_header.Progressive)
        {
            Span<short> block = component.Coefficients.AsSpan(((y * component.StoredColumns) + x) * 64, 64);
            if (_first == 0)
            {
                Constant(component, block);
            }
            else if (_refine)
            {
                RefineSpectrum(component, block);
            }
            else
            {
                FirstSpectrum(component, block);
            }
        }
        else
        {
            bool flat = Sequential(component, _block);
            JpegTransform.Inverse(_block, component.Quantisation!, component.Samples.AsSpan((((y * component.Stride) + x) * 8)),
                component.Stride, flat);
        }
    }

    /// <summary>One block of sequential coding; true when only the constant coefficient is not 0.</summary>
    private bool Sequential(JpegComponent component, Span<short> block)
    {
        block.Clear();
        JpegBits bits = _bits; // a local copy stays in registers
        component.Prediction += bits.Signed(Size(bits.Symbol(component.ConstantCodes!)));
        block[0] = (short)component.Prediction;
        JpegHuffman codes = component.Codes!;
        ReadOnlySpan<byte> order = JpegTransform.Order;
        int k = 1;
        bool flat = true;
        while (k < 64)
        {
            int symbol = bits.Symbol(codes);
            int size = symbol & 15;
            int skip = symbol >> 4;
            if (size == 0)
            {
                if (skip < 15)
                {
                    break;
                }

                k += 16;
                continue;
            }

            k += skip;
            block[order[k++]] = (short)bits.Signed(size);
            flat = false;
        }

        _bits = bits;
        return flat;
    }

    private void Constant(JpegComponent component, Span<short> block)
    {
        if (_refine)
        {
            block[0] |= (short)(_bits.Bits(1) << _low);
            return;
        }

        component.Prediction += _bits.Signed(Size(_bits.Symbol(component.ConstantCodes!)));
        block[0] = (short)(component.Prediction << _low);
    }

    private void FirstSpectrum(JpegComponent component, Span<short> block)
    {
        if (_run > 0)
        {
            _run--;
            return;
        }

        ReadOnlySpan<byte> order = JpegTransform.Order;
        for (int k = _first; k <= _last; k++)
        {
            int symbol = _bits.Symbol(component.Codes!);
            int size = symbol & 15;
            int skip = symbol >> 4;
            if (size == 0 && skip < 15)
            {
                _run = (1 << skip) + _bits.Bits(skip) - 1;
                return;
            }

            k += skip;
            if (size > 0)
            {
                block[order[k]] = (short)(_bits.Signed(size) << _low);
            }
        }
    }

    private void RefineSpectrum(JpegComponent component, Span<short> block)
    {
        ReadOnlySpan<byte> order = JpegTransform.Order;
        int k = _first;
        if (_run == 0)
        {
            for (; k <= _last; k++)
            {
                int symbol = _bits.Symbol(component.Codes!);
                int skip = symbol >> 4;
                int value = 0;
                if ((symbol & 15) != 0)
                {
                    value = _bits.Bits(1) != 0 ? 1 << _low : -(1 << _low);
                }
                else if (skip < 15)
                {
                    _run = (1 << skip) + _bits.Bits(skip);
                    break;
                }

                // Coefficients known already get a correction bit each; the others are counted until the place is found.
                for (; k <= _last; k++)
                {
                    ref short coefficient = ref block[order[k]];
                    if (coefficient != 0)
                    {
                        Correct(ref coefficient);
                    }
                    else if (skip-- == 0)
                    {
                        break;
                    }
                }

                if (value != 0 && k <= _last)
                {
                    block[order[k]] = (short)value;
                }
            }
        }

        if (_run > 0)
        {
            for (; k <= _last; k++)
            {
                ref short coefficient = ref block[order[k]];
                if (coefficient != 0)
                {
                    Correct(ref coefficient);
                }
            }

            _run--;
        }
    }

    private void Correct(ref short coefficient)
    {
        int bit = 1 << _low;
        if (_bits.Bits(1) != 0 && (coefficient & bit) == 0)
        {
            coefficient += (short)(coefficient > 0 ? bit : -bit);
        }
    }

    private static int Size(int symbol) => symbol <= 15 ? symbol : throw new InvalidDataException("impossible coefficient size");
}
