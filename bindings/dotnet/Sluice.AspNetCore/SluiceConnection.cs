// SPDX-License-Identifier: MIT
using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Sluice.AspNetCore;

/// <summary>
/// A connection: what the engine receives is written to one pipe, and what the application writes to the other is
/// sent from where it lies. The engine's thread does both; where the application runs is an option.
/// </summary>
internal sealed unsafe class SluiceConnection : DefaultConnectionContext, IMemoryPoolFeature
{
    private static readonly Table<SluiceConnection> s_connections = new();
    private static long s_id;

    private readonly Socket _socket;
    private readonly Pipe _input;
    private readonly Pipe _output;
    private readonly TaskCompletionSource _received = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _closed = new();
    private Queue<(nint Buffer, nint Data, int Length)>? _waiting; /* for the application to read */
    private bool _isFull;
    private bool _hasEnded;
    private Exception? _endedBy;
    private Task _sending = Task.CompletedTask;
    private ConnectionAbortedException? _abortedBy;

    public SluiceConnection(Socket socket, SluiceTransportOptions options)
        : base(Interlocked.Increment(ref s_id).ToString("X"))
    {
        PipeScheduler application = options.Application == SluiceCompletion.EngineThread
            ? PipeScheduler.Inline
            : PipeScheduler.ThreadPool;

        _socket = socket;
        _socket.Completion = SluiceCompletion.EngineThread;
        _input = new Pipe(new PipeOptions(PinnedPool.Instance, application, PipeScheduler.Inline,
            options.MaxReadBufferSize, options.MaxReadBufferSize / 2, useSynchronizationContext: false));
        _output = new Pipe(new PipeOptions(PinnedPool.Instance, PipeScheduler.Inline, application,
            options.MaxWriteBufferSize, options.MaxWriteBufferSize / 2, useSynchronizationContext: false));
        Transport = new DuplexPipe(_input.Reader, _output.Writer);
        Application = new DuplexPipe(_output.Reader, _input.Writer);
        ConnectionClosed = _closed.Token;
        Features.Set<IMemoryPoolFeature>(this);
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
    }

    MemoryPool<byte> IMemoryPoolFeature.MemoryPool => PinnedPool.Instance;

    private sealed class DuplexPipe(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input { get; } = input;

        public PipeWriter Output { get; } = output;
    }

    /// <summary>The engine's thread.</summary>
    public void Start()
    {
        SocketHandle handle = _socket.HandleOfEngine;
        int token = s_connections.Add(this);
        var events = new NativeEvents
        {
            Size = (nuint)sizeof(NativeEvents),
            Function = (nint)(delegate* unmanaged<nint, NativeReceived*, nint, void>)&OnReceived,
            Token = token,
        };
        int answer = Native.ReceiveStart(handle.Native, &events);

        if (answer < 0)
        {
            s_connections.Remove(token);
            Ended(Refusal.Of(answer));
        }
        _sending = new SendLoop(_output.Reader, Send, SendingEnded).Run();
    }

    // ---- receiving ----

    [UnmanagedCallersOnly]
    private static void OnReceived(nint native, NativeReceived* received, nint token)
    {
        try
        {
            SluiceConnection connection = s_connections[token];

            if (received->Buffer != 0)
                connection.Received(received->Buffer, received->Data, (int)received->Length);
            if (received->Terminal == 0)
                return;
            s_connections.Remove((int)token);
            connection.Terminal((SocketError)received->Error, received->NativeError);
        }
        catch (Exception exception)
        {
            Unhandled.Throw(exception);
        }
    }

    private void Received(nint buffer, byte* data, int length)
    {
        if (_isFull)
        {
            (_waiting ??= new Queue<(nint, nint, int)>()).Enqueue((buffer, (nint)data, length));
            return;
        }
        Write(buffer, data, length);
    }

    private void Write(nint buffer, byte* data, int length)
    {
        _input.Writer.Write(new ReadOnlySpan<byte>(data, length));
        _socket.Engine.ReleaseBuffer(buffer);

        ValueTask<FlushResult> flush = _input.Writer.FlushAsync();

        if (flush.IsCompletedSuccessfully)
        {
            flush.GetAwaiter().GetResult();
            return;
        }
        /* What comes meanwhile stays in the engine's buffers, of which a socket has few: it is read no more. */
        _isFull = true;
        flush.GetAwaiter().UnsafeOnCompleted(() =>
            _socket.Engine.TryPost(static state => ((SluiceConnection)state!).HasRoom(), this));
    }

    private void HasRoom()
    {
        _isFull = false;
        while (!_isFull && _waiting != null && _waiting.TryDequeue(out (nint Buffer, nint Data, int Length) next))
            Write(next.Buffer, (byte*)next.Data, next.Length);
        if (!_isFull && _hasEnded)
            CompleteInput();
    }

    private void Terminal(SocketError error, int nativeError)
    {
        Ended(error switch
        {
            SocketError.Success => null,
            SocketError.ConnectionReset => new ConnectionResetException("The peer has reset the connection.",
                new SocketException((int)error)),
            SocketError.OperationAborted => (Exception?)_abortedBy ?? new ConnectionAbortedException(),
            _ => new IOException("The connection has failed.", new SocketException((int)error)),
        });
    }

    private void Ended(Exception? by)
    {
        _hasEnded = true;
        _endedBy = by;
        if (!_isFull || by != null)
            CompleteInput();
        ThreadPool.UnsafeQueueUserWorkItem(static connection => connection.TellClosed(), this, preferLocal: false);
    }

    private void CompleteInput()
    {
        while (_waiting != null && _waiting.TryDequeue(out (nint Buffer, nint Data, int Length) left))
            _socket.Engine.ReleaseBuffer(left.Buffer);
        _input.Writer.Complete(_endedBy);
    }

    private void TellClosed()
    {
        _closed.Cancel();
        /* Nothing uses it any more. */
        _received.SetResult();
    }

    // ---- sending ----

    /// <summary>Starts a send of all segments, which stay where they are.</summary>
    private ValueTask<int> Send(ReadOnlySequence<byte> bytes)
    {
        ValueOperation operation = ValueOperation.Rent(_socket);
        Record record = operation.Record;

        record.Args->Flags = 0;
        record.Args->TimeoutNanoseconds = 0;
        if (bytes.IsSingleSegment)
        {
            record.SetPointer(Pointer(bytes.FirstSpan), bytes.FirstSpan.Length);
        }
        else
        {
            int count = 0, at = 0;

            foreach (ReadOnlyMemory<byte> _ in bytes)
                count++;

            NativeSegment* segments = record.Segments(count);

            foreach (ReadOnlyMemory<byte> segment in bytes)
            {
                segments[at].Base = Pointer(segment.Span);
                segments[at++].Length = (nuint)segment.Length;
            }
            record.UseSegments(count);
        }
        return operation.ToInt32(_socket.StartSend(record.Args), default);
    }

    /* The pool's blocks never move, and the pipe has no others. */
    private static byte* Pointer(ReadOnlySpan<byte> span) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(span));

    // ---- the end ----

    public override void Abort(ConnectionAbortedException abortReason)
    {
        _abortedBy = abortReason;
        _output.Reader.CancelPendingRead();
        _socket.Dispose();
    }

    /* All bytes that the kernel has, then FIN; the terminal call of the receiving follows. */
    private void SendingEnded() => _socket.Dispose();

    public override ValueTask DisposeAsync()
    {
        Transport.Input.Complete();
        Transport.Output.Complete();
        return Ending.Wait(_sending, _received.Task, _closed);
    }
}

/// <summary>What awaits: the language does not let it stand among pointers.</summary>
internal static class Ending
{
    public static async ValueTask Wait(Task sending, Task received, IDisposable closed)
    {
        await sending.ConfigureAwait(false);
        await received.ConfigureAwait(false);
        closed.Dispose();
    }
}
