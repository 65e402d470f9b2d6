// SPDX-License-Identifier: MIT
using System.Runtime.InteropServices;

namespace Sluice;

/// <summary>struct sluice_args. What the binding does not touch has no member.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal unsafe struct NativeArgs
{
    public const int Bytes = 256;

    [FieldOffset(0)] public delegate* unmanaged<nint, NativeArgs*, void> Completed;
    [FieldOffset(8)] public nint UserToken;
    [FieldOffset(16)] public uint Flags;
    [FieldOffset(24)] public long TimeoutNanoseconds;
    [FieldOffset(32)] public int Error;
    [FieldOffset(36)] public int NativeError;
    [FieldOffset(40)] public ulong BytesTransferred;
    [FieldOffset(48)] public uint LastOperation;
    [FieldOffset(52)] public uint TransmitFlags;
    [FieldOffset(56)] public nint AcceptSocket;
    [FieldOffset(128)] public byte* RemoteAddress;
    [FieldOffset(136)] public byte* FromAddress;
    [FieldOffset(144)] public uint RemoteAddressLength;
    [FieldOffset(148)] public uint FromCapacity;
    [FieldOffset(152)] public uint FromLength;
    [FieldOffset(156)] public uint DisconnectReuseSocket;
}

/// <summary>struct sluice_packet.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativePacket
{
    public const uint Memory = 1, Path = 2, File = 3;

    public uint Kind;
    public int Descriptor;
    public byte* Base;
    public byte* PathName;
    public long Offset;
    public long Count;
    public ulong Identity;
}

/// <summary>struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeSegment
{
    public byte* Base;
    public nuint Length;
}

/// <summary>struct sluice_options.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeOptions
{
    public nuint Size;
    public uint Backend;
    public uint Disable;
    public uint RingEntries;
    public uint HandlerBudget;
    public ulong GatherBytes;
    public ulong QueueLimitBytes;
    public uint TransmitWay;
    public uint FileWay;
    public ulong FileReadBytes;
    public ulong FileSliceBytes;
    public ulong FetchWindowBytes;
    public uint FetchWindows;
    public uint SigpipeIgnored;
    public uint ReceiveBuffers;
    public uint ReceiveBufferBytes;
    public uint ReceiveBuffersPerSocket;
    public uint WorkerThreads;
    public uint IgnoreEnvironment;
    public uint TraceEvents;
    public uint TraceFormat;
    public nint TracePath;
    public uint HandlerThreadsMax;
    public uint CancelOnThreadExit;
    public uint ZeroCopy;
    public ulong ZeroCopyBytes;
    public long ZeroCopyLingerNanoseconds;
    public uint SubmissionThread;
    public int SubmissionThreadCpu;
    public long SubmissionThreadIdleNanoseconds;
    public long CloseLingerNanoseconds;
    public ulong ReceiveBytesMax;
    public long WaitBudgetNanoseconds;
}

/// <summary>struct sluice_received.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeReceived
{
    public nuint Size;
    public nint Buffer;
    public byte* Data;
    public nuint Length;
    public int Error;
    public int NativeError;
    public uint Terminal;
}

/// <summary>struct sluice_accepted.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeAccepted
{
    public nuint Size;
    public nint Socket;
    public int Error;
    public int NativeError;
    public uint Terminal;
}

/// <summary>struct sluice_receive_options and struct sluice_accept_options: the same members.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeEvents
{
    public nuint Size;
    public nint Function;
    public nint Token;
}
