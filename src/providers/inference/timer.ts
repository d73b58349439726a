/** Calls `run` once after so many milliseconds; returns how to stop it. Injected where a test has a clock of its own. */
export type StartTimer = (milliseconds: number, run: () => void) => () => void

export const startTimer: StartTimer = (milliseconds, run) => {
  const timer = setTimeout(run, milliseconds)
  return () => clearTimeout(timer)
}
