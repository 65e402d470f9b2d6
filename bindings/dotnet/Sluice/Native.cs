// SPDX-License-Identifier: MIT
using System;
using System.IO;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]
[assembly: InternalsVisibleTo("Sluice.AspNetCore")]
[assembly: InternalsVisibleTo("Sluice.Tests")]

namespace Sluice;

/// <summary>
/// The C library. What only writes into a record runs without a transition of the garbage collector;
/// what may make a system call does not.
/// </summary>
internal static unsafe partial class Native
{
    private const string Library = "sluice";

    static Native() => NativeLibrary.SetDllImportResolver(typeof(Native).Assembly, Resolve);

    /// <summary>
    /// The library of the package and the liburing beside it, which is loaded first so that the
    /// library finds it; else the one that is installed.
    /// </summary>
    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (name != Library)
            return 0;
        if (Environment.GetEnvironmentVariable("SLUICE_LIBRARY") is { Length: > 0 } chosen)
            return NativeLibrary.Load(chosen);
        foreach (string directory in Directories())
        {
            string library = Path.Combine(directory, "libsluice.so");

            if (!File.Exists(library))
                continue;
            NativeLibrary.TryLoad(Path.Combine(directory, "liburing.so.2"), out _);
            return NativeLibrary.Load(library);
        }
        if (NativeLibrary.TryLoad("libsluice.so.0", out nint handle))
            return handle;
        return NativeLibrary.TryLoad(Library, assembly, path, out handle) ? handle : 0;
    }

    private static string[] Directories()
    {
        string here = AppContext.BaseDirectory;
        string? beside = Path.GetDirectoryName(typeof(Native).Assembly.Location);
        string runtime = Path.Combine("runtimes", "linux-x64", "native");

        return string.IsNullOrEmpty(beside)
            ? [here, Path.Combine(here, runtime)]
            : [here, Path.Combine(here, runtime), Path.Combine(beside, "..", "..", runtime)];
    }

    // ---- records ----

    [LibraryImport(Library, EntryPoint = "sluice_args_set_receive_buffer"), SuppressGCTransition]
    public static partial int ArgsSetBuffer(NativeArgs* args, byte* memory, nuint length, long offset, long count);

    [LibraryImport(Library, EntryPoint = "sluice_args_set_buffer_list"), SuppressGCTransition]
    public static partial int ArgsSetList(NativeArgs* args, NativeSegment* segments, nuint count);

    [LibraryImport(Library, EntryPoint = "sluice_args_set_packets"), SuppressGCTransition]
    public static partial int ArgsSetPackets(NativeArgs* args, NativePacket* packets, nuint count);

    [LibraryImport(Library, EntryPoint = "sluice_args_in_progress"), SuppressGCTransition]
    public static partial int ArgsInProgress(NativeArgs* args);

    // ---- operations ----

    [LibraryImport(Library, EntryPoint = "sluice_send_async")]
    public static partial int SendAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_send_to_async")]
    public static partial int SendToAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_send_packets_async")]
    public static partial int SendPacketsAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_connect_async")]
    public static partial int ConnectAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_accept_async")]
    public static partial int AcceptAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_disconnect_async")]
    public static partial int DisconnectAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_receive_async")]
    public static partial int ReceiveAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_receive_from_async")]
    public static partial int ReceiveFromAsync(nint socket, NativeArgs* args);

    [LibraryImport(Library, EntryPoint = "sluice_cancel")]
    public static partial int Cancel(nint socket, NativeArgs* args);

    // ---- sockets ----

    [LibraryImport(Library, EntryPoint = "sluice_socket_attach")]
    public static partial int SocketAttach(nint engine, int descriptor, out nint socket);

    [LibraryImport(Library, EntryPoint = "sluice_socket_close")]
    public static partial int SocketClose(nint socket);

    [LibraryImport(Library, EntryPoint = "sluice_socket_close_gracefully")]
    public static partial int SocketCloseGracefully(nint socket, long timeoutNanoseconds);

    [LibraryImport(Library, EntryPoint = "sluice_socket_destroy")]
    public static partial void SocketDestroy(nint socket);

    [LibraryImport(Library, EntryPoint = "sluice_socket_shutdown")]
    public static partial int SocketShutdown(nint socket, int how);

    [LibraryImport(Library, EntryPoint = "sluice_socket_fd")]
    public static partial int SocketDescriptor(nint socket);

    [LibraryImport(Library, EntryPoint = "sluice_socket_queued_bytes"), SuppressGCTransition]
    public static partial nuint SocketQueuedBytes(nint socket);

    [LibraryImport(Library, EntryPoint = "sluice_socket_cancel_all")]
    public static partial int SocketCancelAll(nint socket);

    [LibraryImport(Library, EntryPoint = "sluice_socket_set_drained")]
    public static partial int SocketSetDrained(nint socket, delegate* unmanaged<nint, nint, void> function, nint token);

    [LibraryImport(Library, EntryPoint = "sluice_socket_set_closed")]
    public static partial int SocketSetClosed(nint socket, delegate* unmanaged<nint, nint, void> function, nint token);

    [LibraryImport(Library, EntryPoint = "sluice_socket_set_water_marks")]
    public static partial int SocketSetWaterMarks(nint socket, nuint low, nuint high, nuint limit);

    [LibraryImport(Library, EntryPoint = "sluice_socket_set_option")]
    public static partial int SocketSetOption(nint socket, int option, long value);

    // ---- servers ----

    [LibraryImport(Library, EntryPoint = "sluice_accept_start")]
    public static partial int AcceptStart(nint listener, NativeEvents* options);

    [LibraryImport(Library, EntryPoint = "sluice_accept_stop")]
    public static partial int AcceptStop(nint listener);

    [LibraryImport(Library, EntryPoint = "sluice_receive_start")]
    public static partial int ReceiveStart(nint socket, NativeEvents* options);

    [LibraryImport(Library, EntryPoint = "sluice_buffer_release")]
    public static partial void BufferRelease(nint engine, nint buffer);

    // ---- engines ----

    [LibraryImport(Library, EntryPoint = "sluice_options_init")]
    public static partial int OptionsInit(NativeOptions* options, nuint size);

    [LibraryImport(Library, EntryPoint = "sluice_engine_create")]
    public static partial int EngineCreate(out nint engine, NativeOptions* options);

    [LibraryImport(Library, EntryPoint = "sluice_engine_run")]
    public static partial int EngineRun(nint engine, long timeoutNanoseconds);

    [LibraryImport(Library, EntryPoint = "sluice_engine_wake")]
    public static partial void EngineWake(nint engine);

    [LibraryImport(Library, EntryPoint = "sluice_engine_destroy")]
    public static partial int EngineDestroy(nint engine);

    [LibraryImport(Library, EntryPoint = "sluice_batch_begin")]
    public static partial int BatchBegin(nint engine);

    [LibraryImport(Library, EntryPoint = "sluice_batch_end")]
    public static partial int BatchEnd(nint engine);

    [LibraryImport(Library, EntryPoint = "sluice_engine_backend")]
    public static partial byte* EngineBackend(nint engine);

    [LibraryImport(Library, EntryPoint = "sluice_version")]
    public static partial byte* Version();

    [LibraryImport(Library, EntryPoint = "sluice_socket_error_from_errno"), SuppressGCTransition]
    public static partial int ErrorFromErrno(int error);
}

/// <summary>Values of Linux that the library answers with, and flags of its own.</summary>
internal static class Errno
{
    public const int EPERM = 1, ENOENT = 2, EINTR = 4, EBADF = 9, ENOMEM = 12, EACCES = 13, EBUSY = 16,
        ENOTDIR = 20, EINVAL = 22, ENFILE = 23, EMFILE = 24, ERANGE = 34, EDEADLK = 35, EOPNOTSUPP = 95,
        EDESTADDRREQ = 89, ENOBUFS = 105, EISCONN = 106, ENOTCONN = 107, EALREADY = 114, ECANCELED = 125;
}
