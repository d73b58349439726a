import { systemCall } from '../../call.ts'
import { createProviderRegistry, type HealthCheckResult } from '../../registry/providers.ts'
import { createEvents } from '../../telemetry/events.ts'
import { silentLog } from '../../telemetry/logger.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok } from './check.ts'

/** Milliseconds for each provider; all are asked at once. */
const timeout = 5_000
/** Looked at by its files: running it may fetch a model. */
export const embeddedType = 'inline::llama-cpp'

/** Asks every provider by its own health check, which lists models where there is nothing cheaper, under the configured key. */
export const providers: DoctorCheck = {
  name: 'providers',
  async find({ loaded, egress, signal }) {
    const entries = loaded.config.providers.filter(({ type }) => type !== embeddedType)
    await using registry = createProviderRegistry({
      entries,
      egress,
      log: silentLog,
      events: createEvents(silentLog),
      healthTimeout: timeout,
    })
    const call = systemCall('doctor', signal)
    return await Promise.all(registry.all.map(async (live) => findingOf(live.id, await registry.health(live, call))))
  },
}

function findingOf(id: string, { status, message = '' }: HealthCheckResult): DoctorFinding {
  const subject = `provider ${id}`
  if (status === 'OK') return ok(subject, 'responds')
  return status === 'Error' ? failed(subject, message, remedyFor(id, message)) : ok(subject, message)
}

function remedyFor(id: string, message: string): string {
  if (/\b(401|403)\b|api key|credential|unauthori[sz]ed|authenticat/i.test(message))
    return `Set a valid key for '${id}': its api_key in the configuration, or the variable that it refers to.`
  if (/\b429\b|rate limit/i.test(message)) return 'Wait, or request a higher limit from the provider.'
  if (/certificate|TLS/i.test(message)) return `Set network.tls of '${id}' to the CA of its certificate.`
  return `Check that base_url of '${id}' is correct and reachable from here, including proxies.`
}
