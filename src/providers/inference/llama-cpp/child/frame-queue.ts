const encoder = new TextEncoder()

/** Server-sent events on their way to one caller: pushed by the model, pulled by the socket. Its length is bounded by the slot's context. */
export class FrameQueue {
  #waiting = ''
  #ended = false
  #wake: (() => void) | undefined

  /** One event whose data is `value` as JSON. */
  push(value: object): void {
    this.#add(`data: ${JSON.stringify(value)}\n\n`)
  }

  /** OpenAI's last event, then the end. */
  done(): void {
    this.#add('data: [DONE]\n\n')
    this.end()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** The response; `onDisconnect` is called when the client disconnects before the end. */
  response(onDisconnect: () => void): Response {
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        while (this.#waiting === '' && !this.#ended) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        }
        if (this.#waiting === '') {
          controller.close()
          return
        }
        controller.enqueue(encoder.encode(this.#waiting))
        this.#waiting = ''
      },
      cancel: onDisconnect,
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' } })
  }

  #add(frame: string): void {
    this.#waiting += frame
    this.#wake?.()
  }
}
