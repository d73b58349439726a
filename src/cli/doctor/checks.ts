import { redactText } from '../../config/redact.ts'
import { causeOf } from '../../telemetry/events.ts'
import { type Check, failed, type Finding, type Scene } from './check.ts'
import { clock } from './clock.ts'
import { collectors } from './collectors.ts'
import { configuration, versions } from './configuration.ts'
import { disk, modes } from './files.ts'
import { identity } from './identity.ts'
import { modelFiles } from './models.ts'
import { port } from './port.ts'
import { providers } from './providers.ts'
import { database, quotaStore } from './storage.ts'
import { traceStore } from './trace-store.ts'

/** Every check, in the order of what it tells; all but the last run at once. */
export const checks: readonly Check[] = [
  versions,
  configuration,
  port,
  disk,
  modes,
  database,
  quotaStore,
  traceStore,
  collectors,
  identity,
  providers,
  modelFiles,
]

/** Runs all of them; what one throws is a finding of its own. The clock is judged last, by the answers that the others had. */
export async function findings(scene: Scene, list: readonly Check[] = checks): Promise<Finding[]> {
  const found = await Promise.all(list.map((check) => guarded(check, scene)))
  return [...found.flat(), ...(await guarded(clock, scene))]
}

async function guarded(check: Check, scene: Scene): Promise<readonly Finding[]> {
  try {
    return await check.find(scene)
  } catch (error) {
    scene.signal.throwIfAborted()
    return [failed(check.name, `could not be looked at: ${redactText(causeOf(error))}`, 'This is unexpected: please report it.')]
  }
}
