import { redactText } from '../../config/redact.ts'
import { causeOf } from '../../telemetry/events.ts'
import { type DoctorCheck, failed, type DoctorFinding, type DoctorContext } from './check.ts'
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

/** Every check, in the order of its findings; all run concurrently. */
const checks: readonly DoctorCheck[] = [
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

/** Runs all checks; an error of one becomes a finding. The clock is checked last, with the responses of the others. */
export async function findings(context: DoctorContext, list: readonly DoctorCheck[] = checks): Promise<DoctorFinding[]> {
  const found = await Promise.all(list.map((check) => runCheck(check, context)))
  return [...found.flat(), ...(await runCheck(clock, context))]
}

async function runCheck(check: DoctorCheck, context: DoctorContext): Promise<readonly DoctorFinding[]> {
  try {
    return await check.find(context)
  } catch (error) {
    context.signal.throwIfAborted()
    return [failed(check.name, `check failed unexpectedly: ${redactText(causeOf(error))}`, 'Please report this as a bug.')]
  }
}
