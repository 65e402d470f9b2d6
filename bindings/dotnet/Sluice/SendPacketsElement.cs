// SPDX-License-Identifier: MIT
using System;
using System.IO;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Sluice;

/// <summary>
/// Memory or a part of a file, as System.Net.Sockets.SendPacketsElement; a file may also be a
/// SafeFileHandle, and counts have 64 bits.
/// </summary>
public class SendPacketsElement
{
    public SendPacketsElement(string filepath) : this(filepath, 0L, 0L, false)
    {
    }

    public SendPacketsElement(string filepath, int offset, int count) : this(filepath, offset, count, false)
    {
    }

    public SendPacketsElement(string filepath, int offset, int count, bool endOfPacket)
        : this(filepath, (long)offset, count, endOfPacket)
    {
    }

    public SendPacketsElement(string filepath, long offset, int count) : this(filepath, offset, count, false)
    {
    }

    public SendPacketsElement(string filepath, long offset, int count, bool endOfPacket)
        : this(filepath, offset, (long)count, endOfPacket)
    {
    }

    private SendPacketsElement(string filepath, long offset, long count, bool endOfPacket)
    {
        ArgumentNullException.ThrowIfNull(filepath);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        FilePath = filepath;
        OffsetLong = offset;
        CountLong = count;
        EndOfPacket = endOfPacket;
    }

    public SendPacketsElement(FileStream fileStream) : this(fileStream, 0, 0, false)
    {
    }

    public SendPacketsElement(FileStream fileStream, long offset, int count) : this(fileStream, offset, count, false)
    {
    }

    public SendPacketsElement(FileStream fileStream, long offset, int count, bool endOfPacket)
    {
        ArgumentNullException.ThrowIfNull(fileStream);
        if (!fileStream.IsAsync)
            throw new ArgumentException("The file stream is not asynchronous.", nameof(fileStream));
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        FileStream = fileStream;
        FileHandle = fileStream.SafeFileHandle;
        OffsetLong = offset;
        CountLong = count;
        EndOfPacket = endOfPacket;
    }

    /// <summary>A part of an open file; a count of 0 is to its end. Its position is neither used nor moved.</summary>
    public SendPacketsElement(SafeFileHandle fileHandle, long offset = 0, long count = 0)
    {
        ArgumentNullException.ThrowIfNull(fileHandle);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        FileHandle = fileHandle;
        OffsetLong = offset;
        CountLong = count;
    }

    public SendPacketsElement(byte[] buffer) : this(buffer, 0, buffer?.Length ?? 0, false)
    {
    }

    public SendPacketsElement(byte[] buffer, int offset, int count) : this(buffer, offset, count, false)
    {
    }

    public SendPacketsElement(byte[] buffer, int offset, int count, bool endOfPacket)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        if ((uint)offset > (uint)buffer.Length)
            throw new ArgumentOutOfRangeException(nameof(offset));
        if ((uint)count > (uint)(buffer.Length - offset))
            throw new ArgumentOutOfRangeException(nameof(count));
        Buffer = buffer;
        MemoryBuffer = buffer.AsMemory(offset, count);
        OffsetLong = offset;
        CountLong = count;
        EndOfPacket = endOfPacket;
    }

    public SendPacketsElement(ReadOnlyMemory<byte> buffer) : this(buffer, false)
    {
    }

    public SendPacketsElement(ReadOnlyMemory<byte> buffer, bool endOfPacket)
    {
        MemoryBuffer = buffer;
        CountLong = buffer.Length;
        EndOfPacket = endOfPacket;
    }

    public string? FilePath { get; }

    public FileStream? FileStream { get; }

    /// <summary>The open file of an element that was made from one, or from a FileStream.</summary>
    public SafeFileHandle? FileHandle { get; }

    public byte[]? Buffer { get; }

    public ReadOnlyMemory<byte>? MemoryBuffer { get; }

    public int Count => checked((int)CountLong);

    public int Offset => checked((int)OffsetLong);

    public long OffsetLong { get; }

    /// <summary>The count, also beyond 2 GiB.</summary>
    public long CountLong { get; }

    public bool EndOfPacket { get; }
}
