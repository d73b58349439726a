import type { RequestContext } from './context.ts'
import type { Middleware } from './middleware.ts'

const withoutDoneClients = /^(Async)?LlamaStackClient\//

/**
 * Llama Stack never sent `data: [DONE]`, and its clients parse every event as JSON (seen with 0.2.23, which throws at the end of every
 * stream that has one). They get streams without.
 */
export function legacyClients(): Middleware {
  return (request, context, next) => {
    const client = request.headers.get('user-agent')
    return client !== null && withoutDoneClients.test(client) ? withoutEndOfStream(next(request, context), context) : next(request, context)
  }
}

async function withoutEndOfStream(pending: Promise<Response>, { match }: RequestContext): Promise<Response> {
  const response = await pending
  const marker = match?.dialect.endOfStream
  if (!marker || !response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) return response
  return new Response(withoutLastFrame(response.body, marker), response)
}

/** Frames are never split over two pieces, and this one is the last. */
function withoutLastFrame(body: ReadableStream<Uint8Array>, frame: Uint8Array): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        const kept = endsWith(value, frame) ? value.subarray(0, value.length - frame.length) : value
        if (kept.length > 0) return controller.enqueue(kept)
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

function endsWith(piece: Uint8Array, frame: Uint8Array): boolean {
  const start = piece.length - frame.length
  return start >= 0 && frame.every((byte, at) => piece[start + at] === byte)
}
