import { createHash } from 'node:crypto'
import type { AuditConfig, Config } from '../config/config.ts'
import type { AuditLog } from '../telemetry/audit/audit-log.ts'
import type { Log } from '../telemetry/logger.ts'
import { RequirementError } from './requirement-error.ts'

/** Throws RequirementError where the folder cannot be written. */
export async function createAuditLog(config: AuditConfig, { name, log }: { name: string; log: Log }): Promise<AuditLog> {
  const { openAuditLog } = await import('../telemetry/audit/open.ts')
  try {
    return await openAuditLog({ ...config, name, log: log.child({ category: 'audit' }) })
  } catch (error) {
    const remedy = 'Set server.audit.folder to another folder, or server.audit to false.'
    throw new RequirementError(`The audit log in ${config.folder} cannot be written.`, remedy, error)
  }
}

/** What the audit log says of the policies in force; the digest changes when they do. */
export function policySummary({ auth, accessPolicy, routePolicy, quota, written }: Config): Readonly<Record<string, unknown>> {
  return {
    authenticators: auth?.authenticators.map(({ type }) => type) ?? [],
    access_rules: accessPolicy.isDefault ? 'default' : accessPolicy.rules?.filter(({ index }) => index !== undefined).length,
    route_rules: routePolicy?.rules?.length ?? 0,
    limits: quota.limits.length,
    digest: createHash('sha256')
      .update(JSON.stringify(written ?? {}))
      .digest('hex'),
  }
}
