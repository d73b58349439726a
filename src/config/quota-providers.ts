import type { QuotaConfig } from '../quota/config.ts'
import type { ProviderIds } from './models.ts'
import { isNearMiss, nearest } from './nearest.ts'
import type { Report } from './report.ts'
import { nodeAt, type TreeNode } from './tree.ts'
import type { Strictness } from './validate.ts'

interface QuotaNamesContext {
  readonly ids: ProviderIds
  readonly strictness: Strictness
  readonly report: Report
}

/** Two limits of one name count separately, but their messages look the same. `section` is `server.quota`. */
export function checkQuotaNames({ limits }: QuotaConfig, section: TreeNode, report: Report): void {
  for (const [at, { name }] of limits.entries()) {
    if (name === undefined || limits.findIndex((limit) => limit.name === name) === at) continue
    const place = nodeAt(section, ['limits', at, 'name']) ?? section
    report.warn('notice', place, `another limit has the name '${name}': their error messages are ambiguous`)
  }
}

/**
 * Limits and prices that name a provider that there is not have no effect: an error where it is a slip, or under `--strict`, else a warning.
 * `section` is `server.quota`.
 */
export function checkQuotaProviders({ limits, prices = [] }: QuotaConfig, section: TreeNode, check: QuotaNamesContext): void {
  for (const [at, { providers = [] }] of limits.entries()) {
    for (const [index, id] of providers.entries()) {
      const list = nodeAt(section, ['limits', at, 'providers'])
      checkId(id, (list && nodeAt(list, [index])) ?? list ?? section, check)
    }
  }
  for (const [at, { provider }] of prices.entries()) {
    if (provider !== undefined) checkId(provider, nodeAt(section, ['prices', at, 'provider']) ?? section, check)
  }
}

function checkId(id: string, place: TreeNode, { ids, strictness, report }: QuotaNamesContext): void {
  if (ids.enabled.has(id)) return
  if (ids.disabled.has(id) || ids.unserved.has(id)) {
    report.warn('notice', place, `has no effect: the provider '${id}' is switched off or not served`)
    return
  }
  const known = [...ids.enabled, ...ids.disabled, ...ids.unserved]
  const message = `unknown provider '${id}': ignored.`
  if (strictness === 'strict' || isNearMiss(id, known)) report.error(place, message, nearest(id, known))
  else report.warn('notice', place, message, nearest(id, known))
}
