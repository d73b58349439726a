import { Worker } from 'node:worker_threads'

/** A thread of this process; messages are structured clones. */
export interface WorkerThread<In> {
  post(message: In): void
  /** While `busy`, the thread keeps the process alive. */
  keepAlive(busy: boolean): void
  terminate(): Promise<void>
}

interface ThreadOptions<Out> {
  readonly data: unknown
  readonly onMessage: (message: Out) => void
  /** Once, however it ended; not after `terminate`. */
  readonly onEnd: (cause: unknown) => void
}

/** Starts a script of this server's own in a thread. It does not keep the process alive by itself. */
export function startThread<In, Out>(script: URL, { data, onMessage, onEnd }: ThreadOptions<Out>): WorkerThread<In> {
  const worker = new Worker(script, { workerData: data })
  let ended = false
  const end = (cause: unknown): void => {
    if (ended) return
    ended = true
    onEnd(cause)
  }
  worker.on('error', end)
  worker.on('messageerror', end)
  worker.on('exit', (code) => end(new Error(`exit code ${code}`)))
  worker.on('message', onMessage)
  worker.unref()
  return {
    post(message) {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      if (!ended) worker.postMessage(message)
    },
    keepAlive(busy) {
      if (busy) worker.ref()
      else worker.unref()
    },
    async terminate() {
      ended = true
      await worker.terminate()
    },
  }
}
