// SPDX-License-Identifier: MIT
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace Sluice;

/// <summary>
/// An engine of the library and the thread that runs it. A program may have several; a socket belongs to
/// one. <see cref="Default"/> runs sockets that were made without one.
/// </summary>
public sealed class SluiceEngine : IDisposable
{
    private static readonly Lazy<SluiceEngine> s_default = new(() => new SluiceEngine());

    [ThreadStatic]
    private static SluiceEngine? t_current;

    /* Of a thread that is no engine's: how many batches it is in. */
    [ThreadStatic]
    private static int t_batches;

    private readonly Lock _lock = new();
    private readonly HashSet<SocketHandle> _sockets = new();
    private readonly ConcurrentQueue<(Action<object?> Action, object? State)> _posts = new();
    private readonly SluiceEngineOptions _options;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _ready = new();
    private nint _native;
    private int _postsSeen = 1; /* 0: the engine knows that there are posts */
    private bool _stopping;
    private bool _stopped;
    private Exception? _failure;
    private string _backend = "";

    public SluiceEngine() : this(new SluiceEngineOptions())
    {
    }

    /// <summary>Makes an engine and starts its thread.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The backend is not available.</exception>
    public SluiceEngine(SluiceEngineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        Completion = options.Completion;
        _thread = new Thread(Run) { IsBackground = true, Name = options.Name };
        _thread.UnsafeStart();
        _ready.Wait();
        if (_failure != null)
            throw _failure;
    }

    /// <summary>The engine of sockets that were made without one; started when it is first used.</summary>
    public static SluiceEngine Default => s_default.Value;

    /// <summary>"uring" or "epoll".</summary>
    public string Backend => _backend;

    /// <summary>Where the operations of new sockets complete.</summary>
    public SluiceCompletion Completion { get; }

    /// <summary>Whether the calling thread is this engine's.</summary>
    public bool IsCurrentThread => t_current == this;

    internal CompletionQueue Completions { get; } = new();

    /// <summary>Whether the calling thread has a batch open and runs no engine.</summary>
    internal static bool InForeignBatch => t_batches != 0;

    // ---- the thread ----

    private unsafe void Run()
    {
        NativeOptions native = _options.ToNative();
        int answer = Native.EngineCreate(out _native, &native);

        if (answer < 0)
        {
            _failure = Refusal.Socket(-answer);
            _stopped = true;
            _ready.Set();
            return;
        }
        t_current = this;
        _backend = Marshal.PtrToStringUTF8((nint)Native.EngineBackend(_native)) ?? "";
        _ready.Set();
        Turns();
        End();
        t_current = null;
    }

    private void Turns()
    {
        while (!Volatile.Read(ref _stopping))
        {
            bool isEmpty = Completions.IsEmpty;
            int answer = Native.EngineRun(_native, isEmpty ? -1 : CompletionQueue.WatchNanoseconds);

            Completions.Schedule();
            if (!isEmpty && answer == 0)
                Completions.Watch();
            /* Without a wait there is no engine any more: everything ends. */
            if (answer < 0 && answer != -Errno.EINTR)
                return;
            if (Volatile.Read(ref _postsSeen) == 0)
                RunPosts();
        }
    }

    /* What posts start leaves together. */
    private void RunPosts()
    {
        Interlocked.Exchange(ref _postsSeen, 1);
        Native.BatchBegin(_native);
        while (_posts.TryDequeue(out (Action<object?> Action, object? State) post))
        {
            try
            {
                post.Action(post.State);
            }
            catch (Exception exception)
            {
                Unhandled.Throw(exception);
            }
        }
        Native.BatchEnd(_native);
        Completions.Schedule();
    }

    private void End()
    {
        SocketHandle[] sockets;

        lock (_lock)
        {
            _stopped = true;
            sockets = [.. _sockets];
            _sockets.Clear();
        }
        foreach (SocketHandle socket in sockets)
            socket.Abandon();
        RunPosts();
        Native.EngineDestroy(_native);
        Completions.Schedule();
    }

    // ---- for others ----

    /// <summary>Runs the action on the engine's thread. What it starts leaves together.</summary>
    public void Post(Action<object?> action, object? state)
    {
        ArgumentNullException.ThrowIfNull(action);
        if (!TryPost(action, state))
            throw new ObjectDisposedException(nameof(SluiceEngine));
    }

    internal bool TryPost(Action<object?> action, object? state)
    {
        if (Volatile.Read(ref _stopped))
            return false;
        _posts.Enqueue((action, state));
        if (Interlocked.Exchange(ref _postsSeen, 0) == 0)
            return true;
        lock (_lock)
        {
            if (!_stopped)
                Native.EngineWake(_native);
        }
        return true;
    }

    /// <summary>
    /// Until the batch is disposed of, sends that this thread starts are queued, and those of one socket
    /// leave together. On the engine's thread they leave at its end, on another as soon as the engine sees
    /// them.
    /// </summary>
    public SluiceBatch Batch() => new(this);

    internal void BeginBatch()
    {
        if (!IsCurrentThread)
            t_batches++;
        else
            Native.BatchBegin(_native);
    }

    internal void EndBatch()
    {
        if (!IsCurrentThread)
            t_batches--;
        else
            Native.BatchEnd(_native);
    }

    internal nint Attach(SocketHandle socket, int descriptor)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stopped, this);

            int answer = Native.SocketAttach(_native, descriptor, out nint native);

            if (answer < 0)
                throw Refusal.Socket(-answer);
            _sockets.Add(socket);
            return native;
        }
    }

    /// <summary>A socket that the library has made.</summary>
    internal void Adopt(SocketHandle socket)
    {
        lock (_lock)
            _sockets.Add(socket);
    }

    /// <summary>Nobody uses the handle any more.</summary>
    internal void Destroy(SocketHandle socket)
    {
        if (!IsCurrentThread)
        {
            TryPost(static state => ((SocketHandle)state!).Engine.Destroy((SocketHandle)state), socket);
            return;
        }
        lock (_lock)
        {
            if (!_sockets.Remove(socket))
                return;
        }
        socket.DropEvents();
        Native.SocketDestroy(socket.Native);
    }

    internal void ReleaseBuffer(nint buffer)
    {
        /* The engine ends on this thread alone. */
        if (IsCurrentThread)
        {
            if (!_stopped)
                Native.BufferRelease(_native, buffer);
            return;
        }
        lock (_lock)
        {
            if (!_stopped)
                Native.BufferRelease(_native, buffer);
        }
    }

    /// <summary>
    /// Ends the engine: its sockets are closed, what is pending ends with OperationAborted, and its thread
    /// ends.
    /// </summary>
    /// <exception cref="InvalidOperationException">On the engine's own thread.</exception>
    public void Dispose()
    {
        if (IsCurrentThread)
            throw new InvalidOperationException("The engine's own thread cannot end it.");
        lock (_lock)
        {
            if (!_stopping)
            {
                Volatile.Write(ref _stopping, true);
                if (!_stopped)
                    Native.EngineWake(_native);
            }
        }
        _thread.Join();
    }
}

/// <summary>See <see cref="SluiceEngine.Batch"/>.</summary>
public readonly ref struct SluiceBatch
{
    private readonly SluiceEngine? _engine;

    internal SluiceBatch(SluiceEngine engine)
    {
        _engine = engine;
        engine.BeginBatch();
    }

    public void Dispose() => _engine?.EndBatch();
}
