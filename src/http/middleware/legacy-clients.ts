import type { Middleware } from './middleware.ts'

const withoutDoneClients = /^(Async)?LlamaStackClient\//

/**
 * Llama Stack never sent `data: [DONE]`, and its clients parse every event as JSON (seen with 0.2.23, which throws at the end of every
 * stream that has one). They get streams without.
 */
export function legacyClients(): Middleware {
  return (request, context, next) => {
    const client = request.headers.get('user-agent')
    return client !== null && withoutDoneClients.test(client) ? respondWithoutDone(next(request, context)) : next(request, context)
  }
}

async function respondWithoutDone(pending: Promise<Response>): Promise<Response> {
  const response = await pending
  if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) return response
  return new Response(withoutDone(response.body), response)
}

const doneFrame = new TextEncoder().encode('data: [DONE]\n\n')

/** Frames are never split over two pieces, and this one is the last. */
function withoutDone(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        const kept = endsWithDone(value) ? value.subarray(0, value.length - doneFrame.length) : value
        if (kept.length > 0) return controller.enqueue(kept)
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

function endsWithDone(piece: Uint8Array): boolean {
  const start = piece.length - doneFrame.length
  return start >= 0 && doneFrame.every((byte, at) => piece[start + at] === byte)
}
