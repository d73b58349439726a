import type { QuotaConfig } from '../quota/config.ts'
import type { StorageConfig } from '../storage/config.ts'
import { nearest } from './nearest.ts'
import type { Report } from './report.ts'
import { child, type TreeNode } from './tree.ts'

/** A quota that counts nowhere limits nothing: the backend that it names must be there. `section` is `server.quota`. */
export function checkQuotaStore(
  { store }: QuotaConfig,
  section: TreeNode,
  { storage, report }: { storage: StorageConfig; report: Report },
): void {
  if (!store || !('backend' in store) || Object.hasOwn(storage.backends, store.backend)) return
  const names = Object.keys(storage.backends)
  const place = child(child(section, 'store') ?? child(section, 'kvstore'), 'backend') ?? section
  const available = `Available backends: ${names.join(', ') || 'none'}.`
  report.error(place, `references unknown backend '${store.backend}'. ${available}`, nearest(store.backend, names))
}
