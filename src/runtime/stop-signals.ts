const names = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

export type StopSignal = (typeof names)[number]

export interface StopSignals extends Disposable {
  /** Resolves with the first signal that asks this process to stop. */
  readonly first: Promise<StopSignal>
}

/**
 * Milliseconds in which further signals count as the same wish: Ctrl+C goes to the whole process group, so that what a launcher hands
 * on arrives a second time.
 */
const sameWish = 1000

/** Listens for signals; `onSecond` is called when the operator asks again because the first time takes too long. */
export function listenForStop(onSecond: (signal: StopSignal) => void): StopSignals {
  const { promise, resolve } = Promise.withResolvers<StopSignal>()
  let firstAt: number | undefined
  const listeners = names.map((name) => {
    const listener = () => {
      if (firstAt === undefined) {
        firstAt = performance.now()
        resolve(name)
      } else if (performance.now() - firstAt > sameWish) {
        onSecond(name)
      }
    }
    process.on(name, listener)
    return { name, listener }
  })
  return {
    first: promise,
    [Symbol.dispose]() {
      for (const { name, listener } of listeners) process.off(name, listener)
    },
  }
}
