// SPDX-License-Identifier: MIT
using System;
using System.Buffers;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using Microsoft.Win32.SafeHandles;

namespace Sluice;

/// <summary>What a record belongs to while its operation is in progress.</summary>
internal interface IRecordOwner
{
    /// <summary>The operation has ended. On the engine's thread, inside the library.</summary>
    void Ended(Record record);

    /// <summary>Runs what waits for the end: on the pool, or on the engine's thread.</summary>
    void Continue();
}

/// <summary>
/// A struct sluice_args in memory of its own, with what has to stay where it is while an operation uses
/// it. Records are never freed, only used again, so that a late cancel finds one.
/// </summary>
internal sealed unsafe class Record
{
    public const int AddressBytes = 128;

    private static readonly Table<Record> s_records = new();
    private static readonly Pool<Record> s_pool = new();

    public readonly NativeArgs* Args;
    public IRecordOwner? Owner;
    public int Tag; /* the owner's */
    private readonly byte* _address;
    private GCHandle _pin; /* of a single array; allocated once, its target changes */
    private MemoryHandle _foreign; /* of memory that is no array */
    private bool _isForeign;
    private List<GCHandle>? _pins; /* of several arrays; allocated once each */
    private int _pinned;
    private NativeSegment* _segments;
    private int _segmentCapacity;
    private NativePacket* _packets;
    private int _packetCapacity;
    private List<nint>? _names;
    private List<SafeFileHandle>? _files;
    private bool _hasList;
    private bool _hasPackets;

    private Record()
    {
        byte* memory = (byte*)NativeMemory.AlignedAlloc(NativeArgs.Bytes + AddressBytes, 64);

        NativeMemory.Clear(memory, NativeArgs.Bytes + AddressBytes);
        Args = (NativeArgs*)memory;
        _address = memory + NativeArgs.Bytes;
        Args->Completed = &OnCompleted;
        Args->UserToken = s_records.Add(this);
    }

    public static Record Rent() => s_pool.Take() ?? new Record();

    /// <summary>Nothing is in progress on it any more.</summary>
    public void Return()
    {
        ReleaseLists();
        ClearBuffer();
        Owner = null;
        s_pool.Give(this);
    }

    [UnmanagedCallersOnly]
    private static void OnCompleted(nint socket, NativeArgs* args)
    {
        Record record = s_records[args->UserToken];

        try
        {
            record.Owner!.Ended(record);
        }
        catch (Exception exception)
        {
            Unhandled.Throw(exception);
        }
    }

    public SocketError Error => (SocketError)Args->Error;

    public int NativeError => Args->NativeError;

    public long Bytes => (long)Args->BytesTransferred;

    // ---- memory ----

    /// <summary>The bytes to send or the room to receive into.</summary>
    public void SetBuffer(ReadOnlyMemory<byte> memory)
    {
        if (MemoryMarshal.TryGetArray(memory, out ArraySegment<byte> segment))
        {
            Pin(segment.Array!);
            SetPointer((byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(segment.Array!)) +
                       segment.Offset, segment.Count);
            return;
        }
        _foreign = memory.Pin();
        _isForeign = true;
        SetPointer((byte*)_foreign.Pointer, memory.Length);
    }

    /// <summary>Memory that the caller holds in place.</summary>
    public void SetPointer(byte* memory, int count)
    {
        /* Memory of no bytes may have no address; a send of no bytes has one. */
        if (memory == null)
            memory = _address;
        Check(Native.ArgsSetBuffer(Args, memory, (nuint)count, 0, count));
    }

    private void Pin(byte[] array)
    {
        if (!_pin.IsAllocated)
            _pin = GCHandle.Alloc(array, GCHandleType.Pinned);
        else if (!ReferenceEquals(_pin.Target, array))
            _pin.Target = array;
    }

    private byte* PinAnother(byte[] array)
    {
        _pins ??= new List<GCHandle>();
        if (_pinned == _pins.Count)
        {
            _pins.Add(GCHandle.Alloc(array, GCHandleType.Pinned));
        }
        else
        {
            GCHandle pin = _pins[_pinned];

            pin.Target = array;
        }
        _pinned++;
        return (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(array));
    }

    /// <summary>Room for so many segments; the caller fills them in and calls UseSegments.</summary>
    public NativeSegment* Segments(int count)
    {
        if (count > _segmentCapacity)
        {
            _segmentCapacity = Math.Max(count, 16);
            _segments = (NativeSegment*)NativeMemory.Realloc(_segments,
                (nuint)_segmentCapacity * (nuint)sizeof(NativeSegment));
        }
        return _segments;
    }

    public void UseSegments(int count)
    {
        Native.ArgsSetBuffer(Args, null, 0, 0, 0);
        Check(Native.ArgsSetList(Args, _segments, (nuint)count));
        _hasList = true;
    }

    public void SetList(IList<ArraySegment<byte>> list)
    {
        int count = list.Count;
        NativeSegment* segments = Segments(count);

        for (int i = 0; i < count; i++)
        {
            ArraySegment<byte> segment = list[i];

            segments[i].Base = PinAnother(segment.Array!) + segment.Offset;
            segments[i].Length = (nuint)segment.Count;
        }
        UseSegments(count);
    }

    public void SetPackets(ReadOnlySpan<SendPacketsElement?> elements)
    {
        if (elements.Length > _packetCapacity || _packets == null)
        {
            _packetCapacity = Math.Max(elements.Length, 4);
            _packets = (NativePacket*)NativeMemory.Realloc(_packets,
                (nuint)_packetCapacity * (nuint)sizeof(NativePacket));
        }
        for (int i = 0; i < elements.Length; i++)
            _packets[i] = Packet(elements[i]);
        _hasPackets = true;
        Check(Native.ArgsSetPackets(Args, _packets, (nuint)elements.Length));
    }

    private NativePacket Packet(SendPacketsElement? element)
    {
        var packet = new NativePacket { Offset = element?.OffsetLong ?? 0, Count = element?.CountLong ?? 0 };

        if (element == null)
            return packet;
        if (element.FilePath is { } path)
        {
            packet.Kind = NativePacket.Path;
            packet.PathName = (byte*)Marshal.StringToCoTaskMemUTF8(path);
            (_names ??= new List<nint>()).Add((nint)packet.PathName);
        }
        else if (element.FileHandle is { } file)
        {
            bool added = false;

            file.DangerousAddRef(ref added);
            (_files ??= new List<SafeFileHandle>()).Add(file);
            packet.Kind = NativePacket.File;
            packet.Descriptor = (int)file.DangerousGetHandle();
        }
        else if (element.MemoryBuffer is { Length: > 0 } memory)
        {
            packet.Kind = NativePacket.Memory;
            packet.Offset = 0;
            if (MemoryMarshal.TryGetArray(memory, out ArraySegment<byte> segment))
            {
                packet.Base = PinAnother(segment.Array!) + segment.Offset;
            }
            else
            {
                /* One such element keeps its pin in place of the buffer, which packets do not use. */
                if (_isForeign)
                    throw new NotSupportedException("Only one element may be memory that is no array.");
                _foreign = memory.Pin();
                _isForeign = true;
                packet.Base = (byte*)_foreign.Pointer;
            }
        }
        return packet;
    }

    /// <summary>
    /// Lets go of the memory. The library still has the buffer's address, which the next start replaces.
    /// </summary>
    public void ReleaseMemory()
    {
        ReleaseBuffer();
        ReleaseLists();
    }

    public void ReleaseBuffer()
    {
        if (_pin.IsAllocated)
            _pin.Target = null;
        if (_isForeign)
        {
            _foreign.Dispose();
            _isForeign = false;
        }
    }

    /// <summary>To the library, too, there is no buffer any more.</summary>
    public void ClearBuffer()
    {
        ReleaseBuffer();
        Native.ArgsSetBuffer(Args, null, 0, 0, 0);
    }

    /// <summary>The same of lists and packets alone: a buffer stays.</summary>
    public void ReleaseLists()
    {
        if (!_hasList && !_hasPackets)
            return;
        for (int i = 0; i < _pinned; i++)
        {
            GCHandle pin = _pins![i];

            pin.Target = null;
        }
        _pinned = 0;
        if (_hasPackets)
            ReleasePackets();
        if (_hasList)
            Native.ArgsSetList(Args, null, 0);
        _hasList = false;
        _hasPackets = false;
    }

    private void ReleasePackets()
    {
        if (_names != null)
        {
            foreach (nint name in _names)
                Marshal.FreeCoTaskMem(name);
            _names.Clear();
        }
        if (_files != null)
        {
            foreach (SafeFileHandle file in _files)
                file.DangerousRelease();
            _files.Clear();
        }
        Native.ArgsSetPackets(Args, null, 0);
    }

    private static void Check(int answer)
    {
        if (answer < 0)
            throw Refusal.Of(answer);
    }

    // ---- addresses ----

    public void SetRemote(EndPoint remote)
    {
        Args->RemoteAddress = _address;
        Args->RemoteAddressLength = (uint)Address.Write(remote, new Span<byte>(_address, AddressBytes));
    }

    public void WantFrom()
    {
        Args->FromAddress = _address;
        Args->FromCapacity = AddressBytes;
    }

    public ReadOnlySpan<byte> From => new(_address, (int)Math.Min(Args->FromLength, AddressBytes));
}

/// <summary>An exception of a handler ends the process, as everywhere in .NET.</summary>
internal static class Unhandled
{
    public static void Throw(Exception exception)
    {
        var caught = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(exception);

        ThreadPool.UnsafeQueueUserWorkItem(static info => info.Throw(), caught, preferLocal: false);
    }
}
