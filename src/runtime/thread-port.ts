import { parentPort, workerData } from 'node:worker_threads'

/** A thread's own side: its start data, and the channel to its parent. */
interface ThreadPort<In, Out> {
  readonly data: unknown
  post(message: Out): void
  listen(onMessage: (message: In) => void): void
}

/** Throws an Error outside of a thread. */
export function threadPort<In, Out>(): ThreadPort<In, Out> {
  const port = parentPort
  if (!port) throw new Error('This script runs in a thread.')
  return {
    data: workerData as unknown,
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    post: (message) => port.postMessage(message),
    listen: (onMessage) => void port.on('message', onMessage),
  }
}
