// SPDX-License-Identifier: MIT
using System;
using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Threading.Tasks;

namespace Sluice.AspNetCore;

/// <summary>Sends what the application writes, until it or the connection ends.</summary>
internal sealed class SendLoop(PipeReader output, Func<ReadOnlySequence<byte>, ValueTask<int>> send, Action ended)
{
    public async Task Run()
    {
        Exception? failure = null;

        try
        {
            while (true)
            {
                ReadResult result = await output.ReadAsync().ConfigureAwait(false);

                if (result.IsCanceled)
                    break;
                if (!result.Buffer.IsEmpty)
                    await send(result.Buffer).ConfigureAwait(false);
                output.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                    break;
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            failure = exception;
        }
        ended();
        output.Complete(failure);
    }
}
