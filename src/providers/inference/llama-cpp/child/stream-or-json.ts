import { FrameQueue } from './frame-queue.ts'
import { toErrorBody } from './error-body.ts'

/** Where an endpoint's work puts what it makes. */
export interface ResponseWriter {
  /** Aborts when the caller leaves. */
  readonly signal: AbortSignal
  /** Present when a stream was requested. */
  readonly frames: FrameQueue | undefined
  /** From here on nothing can be refused with a status any more: the head goes out. */
  begin(): void
  /** The reply of a request that does not stream. */
  json(value: object): void
}

/** Runs `work` for one caller. What it throws before `begin` is thrown here; later it becomes an error event and the end of the stream. */
export async function streamOrJson(
  stream: boolean,
  requestSignal: AbortSignal,
  work: (writer: ResponseWriter) => Promise<void>,
): Promise<Response> {
  if (!stream) {
    let value: object = {}
    await work({
      signal: requestSignal,
      frames: undefined,
      begin: () => undefined,
      json: (result) => {
        value = result
      },
    })
    return Response.json(value)
  }
  const disconnect = new AbortController()
  const signal = AbortSignal.any([requestSignal, disconnect.signal])
  const frames = new FrameQueue()
  const begun = Promise.withResolvers<void>()
  work({ signal, frames, begin: begun.resolve, json: () => undefined }).then(begun.resolve, (error: unknown) => {
    begun.reject(error)
    if (!signal.aborted) frames.push(toErrorBody(error))
    frames.end()
  })
  await begun.promise
  return frames.response(() => disconnect.abort(new DOMException('The caller left.', 'AbortError')))
}
