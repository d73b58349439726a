/** Calls `run` once after so many milliseconds; returns how to cancel it. Injected where a test has a clock of its own. */
export type StartTimer = (milliseconds: number, run: () => void) => () => void

export const startTimer: StartTimer = (milliseconds, run) => {
  const timer = setTimeout(run, milliseconds)
  return () => clearTimeout(timer)
}

/** A timer that does not keep the process alive. */
export const startBackgroundTimer: StartTimer = (milliseconds, run) => {
  const timer: unknown = setTimeout(run, milliseconds)
  // Outside of Bun and Node timers are numbers.
  ;(timer as { unref?: () => void }).unref?.()
  return () => clearTimeout(timer as ReturnType<typeof setTimeout>)
}

/** What is needed of an AbortSignal. */
interface AbortSource {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

interface TimingOptions {
  readonly signal?: AbortSource
  /** Default: one that keeps the process alive. */
  readonly timer?: StartTimer
}

/** Resolves after so many milliseconds, or as soon as the signal aborts. */
export function sleep(milliseconds: number, { signal, timer = startTimer }: TimingOptions = {}): Promise<void> {
  if (signal?.aborted) return Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  const wake = (): void => {
    cancel()
    signal?.removeEventListener('abort', wake)
    resolve()
  }
  const cancel = timer(milliseconds, wake)
  signal?.addEventListener('abort', wake)
  return promise
}

/** What `work` resolves with, or `late` after so many milliseconds. The work itself goes on. */
export async function within<T, L>(
  milliseconds: number,
  work: PromiseLike<T>,
  late: L,
  { timer = startTimer }: Pick<TimingOptions, 'timer'> = {},
): Promise<T | L> {
  const { promise, resolve } = Promise.withResolvers<L>()
  const cancel = timer(milliseconds, () => resolve(late))
  try {
    return await Promise.race([work, promise])
  } finally {
    cancel()
  }
}

/** What `work` resolves with. Rejects with `timeoutError()` after so many milliseconds, or with the signal's reason. The work itself goes on. */
export async function withTimeout<T>(
  milliseconds: number,
  work: PromiseLike<T>,
  timeoutError: () => Error,
  { signal, timer = startTimer }: TimingOptions = {},
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal?.reason)
  const cancel = timer(milliseconds, () => reject(timeoutError()))
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort)
  try {
    return await Promise.race([work, promise])
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}
