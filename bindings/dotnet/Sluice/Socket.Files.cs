// SPDX-License-Identifier: MIT
using System;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Win32.SafeHandles;

namespace Sluice;

public sealed unsafe partial class Socket
{
    private int StartPackets(NativeArgs* args, TransmitFileOptions flags)
    {
        args->TransmitFlags = (uint)flags;
        if (!_handle.Enter())
            return -Errno.EBADF;
        int answer = Native.SendPacketsAsync(_handle.Native, args);

        _handle.Exit();
        return answer;
    }

    /// <summary>False when it is done at once; .NET always says true.</summary>
    public bool SendPacketsAsync(SocketAsyncEventArgs e)
    {
        ThrowIfDisposed();
        ArgumentNullException.ThrowIfNull(e);
        if (e.Packets == null)
            throw new ArgumentException("SendPacketsElements is not set.", nameof(e));
        e.Begin(this, SocketAsyncOperation.SendPackets);

        SendPacketsElement?[] elements = e.Packets;

        try
        {
            e.PreparePackets();
        }
        catch
        {
            e.Abandon();
            throw;
        }
        int answer = StartPackets(e.Record.Args, e.SendPacketsFlags);

        if (answer >= 0)
            return Answer(e, answer);
        e.Abandon();
        throw Refusal.OfFiles(answer, elements);
    }

    // ---- files ----

    private static SendPacketsElement?[] Elements(string? fileName, byte[]? before, byte[]? after)
    {
        if (fileName is { Length: 0 })
            throw new ArgumentException("The path is empty.", "path");
        return [
            before == null ? null : new SendPacketsElement(before),
            fileName == null ? null : new SendPacketsElement(fileName),
            after == null ? null : new SendPacketsElement(after),
        ];
    }

    private static SendPacketsElement?[] Elements(SafeFileHandle file, long offset, long count,
        ReadOnlyMemory<byte> before, ReadOnlyMemory<byte> after) =>
        [
            before.IsEmpty ? null : new SendPacketsElement(before),
            new SendPacketsElement(file, offset, count),
            after.IsEmpty ? null : new SendPacketsElement(after),
        ];

    public IAsyncResult BeginSendFile(string? fileName, AsyncCallback? callback, object? state) =>
        BeginSendFile(fileName, null, null, TransmitFileOptions.UseDefaultWorkerThread, callback, state);

    public IAsyncResult BeginSendFile(string? fileName, byte[]? preBuffer, byte[]? postBuffer,
        TransmitFileOptions flags, AsyncCallback? callback, object? state)
    {
        ThrowIfDisposed();

        SendPacketsElement?[] elements = Elements(fileName, preBuffer, postBuffer);
        SluiceAsyncResult result =
            Result(SocketAsyncOperation.SendPackets, callback, state, SocketFlags.None, out Record record);

        record.SetPackets(elements);

        int answer = StartPackets(record.Args, flags);

        if (answer >= 0)
            return result.Started(answer, out _, throws: true)!;
        result.Drop();
        throw Refusal.OfFiles(answer, elements);
    }

    /// <summary>Waits until the kernel has taken the whole file.</summary>
    public void EndSendFile(IAsyncResult asyncResult) =>
        SluiceAsyncResult.End(this, asyncResult, SocketAsyncOperation.SendPackets).ThrowIfFailed();

    public void SendFile(string? fileName) =>
        SendFile(fileName, ReadOnlySpan<byte>.Empty, ReadOnlySpan<byte>.Empty,
            TransmitFileOptions.UseDefaultWorkerThread);

    public void SendFile(string? fileName, byte[]? preBuffer, byte[]? postBuffer, TransmitFileOptions flags)
    {
        SendPacketsElement?[] elements = Elements(fileName, preBuffer, postBuffer);
        ValueOperation operation = ToWaitFor(SocketFlags.None, _sendTimeout);

        operation.Record.SetPackets(elements);

        int answer = StartPackets(operation.Record.Args, flags);

        if (answer < 0)
        {
            operation.Abandon();
            throw Refusal.OfFiles(answer, elements);
        }
        long bytes = operation.Wait(answer, out SocketError error, out int nativeError, out _, out _);

        if (error != SocketError.Success)
            throw new SluiceSocketException(error, nativeError, bytes);
    }

    public void SendFile(string? fileName, ReadOnlySpan<byte> preBuffer, ReadOnlySpan<byte> postBuffer,
        TransmitFileOptions flags) =>
        SendFile(fileName, preBuffer.IsEmpty ? null : preBuffer.ToArray(),
            postBuffer.IsEmpty ? null : postBuffer.ToArray(), flags);

    public ValueTask SendFileAsync(string? fileName, CancellationToken cancellationToken = default) =>
        SendFileAsync(fileName, default, default, TransmitFileOptions.UseDefaultWorkerThread, cancellationToken);

    /// <summary>
    /// A part of an open file, with memory around it; a count of 0 is to its end. The position is neither used
    /// nor moved. Returns all bytes, the memory's included.
    /// </summary>
    public ValueTask<long> SendFileAsync(SafeFileHandle file, long offset = 0, long count = 0,
        ReadOnlyMemory<byte> before = default, ReadOnlyMemory<byte> after = default,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(file);
        return SendPackets(Elements(file, offset, count, before, after), TransmitFileOptions.UseDefaultWorkerThread,
            NoTimeout, cancellationToken);
    }

    /// <summary>Memory and files in order. The array may be used again when the call has returned.</summary>
    public ValueTask<long> SendPacketsAsync(SendPacketsElement?[] elements,
        TransmitFileOptions flags = TransmitFileOptions.UseDefaultWorkerThread,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(elements);
        return SendPackets(elements, flags, NoTimeout, cancellationToken);
    }

    private ValueTask<long> SendPackets(SendPacketsElement?[] elements, TransmitFileOptions flags, long timeout,
        CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<long>(cancellationToken);

        ValueOperation operation = Operation(SocketFlags.None, timeout);

        operation.Record.SetPackets(elements);

        int answer = StartPackets(operation.Record.Args, flags);

        if (answer >= 0)
            return operation.ToInt64(answer, cancellationToken);
        operation.Abandon();
        throw Refusal.OfFiles(answer, elements);
    }
}
