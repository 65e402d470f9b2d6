// SPDX-License-Identifier: MIT
using System;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Win32.SafeHandles;

namespace Sluice.Tests;

/// <summary>The page of Socket.EndSendFile, and files by SendPacketsAsync.</summary>
public static class FileTests
{
    private sealed class TemporaryFile : IDisposable
    {
        public TemporaryFile(int length)
        {
            Contents = Bytes.Pattern(length, 7);
            File.WriteAllBytes(Name, Contents);
        }

        public string Name { get; } = Path.GetTempFileName();

        public byte[] Contents { get; }

        public void Dispose() => File.Delete(Name);
    }

    public static void EndSendFile_of_null_foreign_twice_and_closed_is_refused()
    {
        using var file = new TemporaryFile(1024);
        using var pair = new Pair();
        using var other = new Pair();
        IAsyncResult result = pair.Ours.BeginSendFile(file.Name, null, null);

        Check.Throws<ArgumentNullException>(() => pair.Ours.EndSendFile(null!), "asyncResult");
        Check.Throws<ArgumentException>(() => other.Ours.EndSendFile(result), "asyncResult");
        Check.Throws<ArgumentException>(() => pair.Ours.EndSend(result), "asyncResult");
        Check.Throws<ArgumentException>(() => pair.Ours.EndSendFile(Task.CompletedTask), "asyncResult");
        pair.Ours.EndSendFile(result);
        Check.Throws<InvalidOperationException>(() => pair.Ours.EndSendFile(result));
        result = pair.Ours.BeginSendFile(file.Name, null, null);
        pair.Ours.Dispose();
        Check.Throws<ObjectDisposedException>(() => pair.Ours.EndSendFile(result));
    }

    public static void EndSendFile_tells_a_SocketException_when_the_peer_resets()
    {
        using var file = new TemporaryFile(5_000_000);
        using var pair = new Pair(small: true);
        IAsyncResult result = pair.Ours.BeginSendFile(file.Name, null, null);

        pair.Read(1);
        pair.Reset();
        Check.Socket(SocketError.ConnectionReset, () => pair.Ours.EndSendFile(result));
    }

    public static void EndSendFile_blocks_until_the_entire_file_is_sent()
    {
        using var file = new TemporaryFile(5_000_000);
        using var pair = new Pair(small: true);
        Task<byte[]> reading = Task.Run(() => pair.Read(5_000_000));
        using var ended = new ManualResetEventSlim();
        int mine = Environment.CurrentManagedThreadId, its = mine;
        IAsyncResult result = pair.Ours.BeginSendFile(file.Name, ar =>
        {
            its = Environment.CurrentManagedThreadId;
            ended.Set();
        }, pair.Ours);

        pair.Ours.EndSendFile(result);
        Check.That(ReferenceEquals(pair.Ours, result.AsyncState));
        Check.That(reading.Result.AsSpan().SequenceEqual(file.Contents));
        Check.That(ended.Wait(30_000));
        Check.That(its != mine);
    }

    public static void BeginSendFile_sends_buffers_before_and_after_the_file()
    {
        using var file = new TemporaryFile(4096);
        using var pair = new Pair();
        byte[] before = [1, 2, 3], after = [4, 5];

        pair.Ours.EndSendFile(pair.Ours.BeginSendFile(file.Name, before, after,
            TransmitFileOptions.UseDefaultWorkerThread, null, null));
        Check.That(pair.Read(4101).AsSpan().SequenceEqual([.. before, .. file.Contents, .. after]));
        pair.Ours.EndSendFile(pair.Ours.BeginSendFile(null, before, after, 0, null, null));
        Check.Equal(5, pair.Read(5).Length);
        pair.Ours.EndSendFile(pair.Ours.BeginSendFile(null, null, null));
        pair.Ours.SendFile(file.Name, before, after, TransmitFileOptions.UseDefaultWorkerThread);
        Check.That(pair.Read(4101).AsSpan().SequenceEqual([.. before, .. file.Contents, .. after]));
    }

    public static void BeginSendFile_refuses_what_is_no_file_and_sends_nothing()
    {
        using var pair = new Pair();
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        string missing = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString());

        Check.Throws<FileNotFoundException>(() => pair.Ours.BeginSendFile(missing, [1], null, 0, null, null));
        Check.Throws<DirectoryNotFoundException>(
            () => pair.Ours.BeginSendFile(Path.Combine(missing, "x"), [1], null, 0, null, null));
        Check.Throws<UnauthorizedAccessException>(
            () => pair.Ours.BeginSendFile(Path.GetTempPath(), [1], null, 0, null, null));
        Check.Throws<ArgumentException>(() => pair.Ours.BeginSendFile("", null, null));
        using var file = new TemporaryFile(1);
        Check.Throws<NotSupportedException>(() => socket.BeginSendFile(file.Name, null, null));
        Check.Equal(0, pair.Peer.Available);
    }

    public static void BeginSendFile_leaves_no_descriptor_open()
    {
        using var file = new TemporaryFile(4096);
        using var pair = new Pair();
        Task<byte[]> reading = Task.Run(() => pair.Read(200 * 4096));
        int before = Directory.GetFiles("/proc/self/fd").Length;

        for (int i = 0; i < 200; i++)
            pair.Ours.EndSendFile(pair.Ours.BeginSendFile(file.Name, null, null));
        Check.That(Directory.GetFiles("/proc/self/fd").Length < before + 50);
        Check.Equal(200 * 4096, reading.Result.Length);
    }

    private static void Send(Pair pair, SocketAsyncEventArgs args)
    {
        using var ended = new ManualResetEventSlim();

        args.Completed += (_, _) => ended.Set();
        if (pair.Ours.SendPacketsAsync(args))
            Check.That(ended.Wait(60_000));
    }

    public static void SendPacketsAsync_sends_memory_paths_and_streams_in_order()
    {
        using var file = new TemporaryFile(1024);
        using var pair = new Pair();
        using var args = new SocketAsyncEventArgs();
        using var stream = new FileStream(file.Name, FileMode.Open, FileAccess.Read, FileShare.Read, 1,
            FileOptions.Asynchronous);
        byte[] memory = Bytes.Pattern(100);

        stream.Position = 77;
        args.SendPacketsElements = [
            new SendPacketsElement(memory),
            null!,
            new SendPacketsElement(file.Name, 10, 20),
            new SendPacketsElement(memory, 5, 0),
            new SendPacketsElement(stream, 1000, 0),
            new SendPacketsElement(stream.SafeFileHandle, 0, 4),
            new SendPacketsElement(memory.AsMemory(90)),
        ];
        Send(pair, args);
        Check.Equal(SocketError.Success, args.SocketError);
        Check.Equal(100 + 20 + 24 + 4 + 10, args.BytesTransferred);
        Check.That(pair.Read(158).AsSpan().SequenceEqual([.. memory, .. file.Contents[10..30],
            .. file.Contents[1000..], .. file.Contents[..4], .. memory[90..]]));
        Check.Equal(77L, stream.Position);
        Check.Equal(SocketAsyncOperation.SendPackets, args.LastOperation);
    }

    public static void SendPacketsAsync_of_nothing_is_a_success_and_of_null_an_ArgumentException()
    {
        using var pair = new Pair();
        using var args = new SocketAsyncEventArgs();

        Check.Throws<ArgumentException>(() => pair.Ours.SendPacketsAsync(args), "e");
        args.SendPacketsElements = [];
        Send(pair, args);
        Check.Equal(SocketError.Success, args.SocketError);
        args.SendPacketsElements = [null!];
        Send(pair, args);
        Check.Equal(SocketError.Success, args.SocketError);
    }

    public static void SendPacketsAsync_past_the_end_is_InvalidArgument_and_sends_nothing()
    {
        using var file = new TemporaryFile(1024);
        using var pair = new Pair();
        using var args = new SocketAsyncEventArgs();

        args.SendPacketsElements = [new SendPacketsElement([1, 2, 3]), new SendPacketsElement(file.Name, 1000, 25)];
        Send(pair, args);
        Check.Equal(SocketError.InvalidArgument, args.SocketError);
        Check.Equal(0, args.BytesTransferred);
        Check.That(pair.Ours.Connected);
    }

    public static void SendPacketsAsync_with_Disconnect_ends_the_stream_behind_the_last_byte()
    {
        using var file = new TemporaryFile(100_000);
        using var pair = new Pair();
        using var args = new SocketAsyncEventArgs();
        Task<long> draining = Task.Run(pair.Drain);

        args.SendPacketsElements = [new SendPacketsElement(file.Name)];
        args.SendPacketsFlags = TransmitFileOptions.Disconnect;
        Send(pair, args);
        Check.Equal(100_000L, draining.Result);
    }

    public static async Task SendFileAsync_of_a_SafeFileHandle_sends_a_part_of_it()
    {
        using var file = new TemporaryFile(10_000);
        using var pair = new Pair();
        using SafeFileHandle handle = File.OpenHandle(file.Name);
        byte[] before = [1], after = [2, 3];

        Check.Equal(1003L, await pair.Ours.SendFileAsync(handle, 500, 1000, before, after));
        Check.That(pair.Read(1003).AsSpan().SequenceEqual((byte[])[1, .. file.Contents[500..1500], 2, 3]));
        await pair.Ours.SendFileAsync(file.Name);
        Check.That(pair.Read(10_000).AsSpan().SequenceEqual(file.Contents));
    }

    public static void SendPacketsElement_checks_its_arguments()
    {
        Check.Throws<ArgumentNullException>(() => new SendPacketsElement((string)null!), "filepath");
        Check.Throws<ArgumentNullException>(() => new SendPacketsElement((byte[])null!), "buffer");
        Check.Throws<ArgumentNullException>(() => new SendPacketsElement((FileStream)null!), "fileStream");
        Check.Throws<ArgumentOutOfRangeException>(() => new SendPacketsElement("x", -1, 0), "offset");
        Check.Throws<ArgumentOutOfRangeException>(() => new SendPacketsElement("x", 0, -1), "count");
        Check.Throws<ArgumentOutOfRangeException>(() => new SendPacketsElement(new byte[4], 5, 0), "offset");
        Check.Throws<ArgumentOutOfRangeException>(() => new SendPacketsElement(new byte[4], 2, 3), "count");
    }
}
