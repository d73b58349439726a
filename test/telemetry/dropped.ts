import type { TestServer } from '../../src/testing/test-app.ts'
import { parseText, valuesOf } from './metrics/parse-text.ts'

/** What `/metrics` says was lost of `what`: `logs`, `spans`, `metrics`, `audit`, `ledger`. */
export async function dropped({ fetch }: Pick<TestServer, 'fetch'>, what: string): Promise<number> {
  const families = parseText(await (await fetch('/metrics')).text())
  return valuesOf(families, 'corral_telemetry_dropped_total', { corral_dropped: what }).reduce((sum, value) => sum + value, 0)
}

/** Reads `/metrics` until so many are lost: the test's own time limit ends it. */
export async function untilDropped(server: Pick<TestServer, 'fetch'>, what: string, least = 1): Promise<number> {
  for (;;) {
    const count = await dropped(server, what)
    if (count >= least) return count
    await Bun.sleep(50)
  }
}
