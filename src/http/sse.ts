import { toApiError, toErrorBody } from './error-response.ts'

const encoder = new TextEncoder()

export interface SseOptions {
  requestId: string
  /** Milliseconds of silence after which a comment is sent. */
  heartbeatEvery: number
  onError?: (error: unknown) => void
}

/** Streams whole frames to the caller; whatever fails becomes one error event and the end of the stream. */
export function sseResponse(frames: AsyncIterator<Uint8Array, void, undefined>, options: SseOptions): Response {
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await frames.next()
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (error) {
        options.onError?.(error)
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(toErrorBody(toApiError(error, options.requestId)))}\n\n`))
        controller.close()
      }
    },
    async cancel() {
      await frames.return?.()
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' } })
}
