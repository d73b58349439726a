type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP'

/** Exit codes of a program that a signal ended: 128 and the signal's number, as shells report it. */
export const signalExitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const satisfies Readonly<Record<StopSignal, number>>

/**
 * Milliseconds in which further signals count as the same request: Ctrl+C goes to the whole process group, so the signal that the
 * launcher forwards is the second one to arrive.
 */
const duplicateSignalWindow = 1000

/** Replaces the signals' default action. `first` is called once; `again` for each later signal that is a request of its own. */
export function listenForStop(
  names: readonly StopSignal[],
  { first, again }: { first: (signal: StopSignal) => void; again: (signal: StopSignal) => void },
): Disposable {
  let firstAt: number | undefined
  const listeners = names.map((name) => {
    const listener = () => {
      if (firstAt === undefined) {
        firstAt = performance.now()
        first(name)
      } else if (performance.now() - firstAt > duplicateSignalWindow) {
        again(name)
      }
    }
    process.on(name, listener)
    return { name, listener }
  })
  return {
    [Symbol.dispose]() {
      for (const { name, listener } of listeners) process.off(name, listener)
    },
  }
}

/** Resolves with the signal's reason once it is aborted, at once where it already is. */
export function whenAborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    else signal.addEventListener('abort', () => resolve(signal.reason), { once: true })
  })
}
