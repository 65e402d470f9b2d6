// SPDX-License-Identifier: MIT
using System;
using System.IO;
using System.Net.Sockets;

namespace Sluice;

/// <summary>
/// A SocketException that also has what the operation moved before it failed, and the errno as the
/// kernel gave it.
/// </summary>
public sealed class SluiceSocketException : SocketException
{
    private readonly int _nativeError;

    internal SluiceSocketException(SocketError error, int nativeError, long bytesTransferred)
        : base((int)error)
    {
        _nativeError = nativeError;
        BytesTransferred = bytesTransferred;
    }

    /// <summary>Bytes that the stream holds of the operation although it failed.</summary>
    public long BytesTransferred { get; }

    /// <summary>The errno, also if several have the same SocketError.</summary>
    public override int ErrorCode => _nativeError != 0 ? _nativeError : base.ErrorCode;
}

/// <summary>What a refused call throws: the table of docs/contract.md, read from right to left.</summary>
internal static class Refusal
{
    public static Exception Of(int error, string? parameter = null)
    {
        switch (-error)
        {
        case Errno.EINVAL:
            return new ArgumentException("The arguments of the operation are not valid.", parameter);
        case Errno.ERANGE:
            return new ArgumentOutOfRangeException(parameter);
        case Errno.EBUSY:
            return new InvalidOperationException(
                "An asynchronous socket operation is already in progress using this object.");
        case Errno.EALREADY:
            return new InvalidOperationException("End was called for this operation before.");
        case Errno.EDEADLK:
            return new InvalidOperationException("The engine's own thread cannot wait for an operation.");
        case Errno.EPERM:
            return new InvalidOperationException("The call belongs to the engine's thread.");
        case Errno.EBADF:
            return new ObjectDisposedException(typeof(Socket).FullName);
        case Errno.ENOMEM:
            return new OutOfMemoryException();
        default:
            return Socket(-error);
        }
    }

    public static SluiceSocketException Socket(int error, long bytes = 0) =>
        new((SocketError)Native.ErrorFromErrno(error), error, bytes);

    /// <summary>A refusal of files: the library does not say which, so it is looked for.</summary>
    public static Exception OfFiles(int error, ReadOnlySpan<SendPacketsElement?> elements)
    {
        switch (-error)
        {
        case Errno.EOPNOTSUPP:
            return new NotSupportedException("Files are sent over connected streams.");
        case Errno.ENOENT or Errno.ENOTDIR:
            return Missing(elements);
        case Errno.EACCES or Errno.EPERM:
            return new UnauthorizedAccessException("Access to a file is denied.");
        case Errno.EMFILE or Errno.ENFILE:
            return new IOException("Too many open files.");
        case Errno.EINVAL:
            foreach (SendPacketsElement? element in elements)
            {
                if (element?.FilePath is { } path && Directory.Exists(path))
                    return new UnauthorizedAccessException($"'{path}' is a directory.");
            }
            return new ArgumentException("An element is neither memory nor a regular file.");
        default:
            return Of(error);
        }
    }

    private static IOException Missing(ReadOnlySpan<SendPacketsElement?> elements)
    {
        foreach (SendPacketsElement? element in elements)
        {
            if (element?.FilePath is not { } path || File.Exists(path))
                continue;
            return Path.GetDirectoryName(path) is { Length: > 0 } directory && !Directory.Exists(directory)
                ? new DirectoryNotFoundException($"Could not find a part of the path '{path}'.")
                : new FileNotFoundException($"Could not find file '{path}'.", path);
        }
        return new FileNotFoundException();
    }
}
