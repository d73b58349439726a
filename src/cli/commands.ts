import { auditList } from './audit-list.ts'
import { auditVerify } from './audit-verify.ts'
import { build } from './build.ts'
import type { Command } from './command.ts'
import { configSchema } from './config-schema.ts'
import { configShow } from './config-show.ts'
import { configValidate } from './config-validate.ts'
import { doctor } from './doctor.ts'
import { health } from './health.ts'
import { keysCreate } from './keys-create.ts'
import { keysList } from './keys-list.ts'
import { keysRevoke } from './keys-revoke.ts'
import { keysRotate } from './keys-rotate.ts'
import { listApis } from './list-apis.ts'
import { listDistros } from './list-distros.ts'
import { listModels } from './list-models.ts'
import { listProviders } from './list-providers.ts'
import { modelsList, modelsPull, modelsRemove } from './models.ts'
import { policyExplain } from './policy-explain.ts'
import { policyTest } from './policy-test.ts'
import { run } from './run.ts'
import { storageBackup } from './storage-backup.ts'
import { storageMigrate } from './storage-migrate.ts'
import { storageStatus } from './storage-status.ts'
import { tracesList } from './traces-list.ts'
import { tracesShow } from './traces-show.ts'
import { tracesTail } from './traces-tail.ts'
import { usage } from './usage.ts'

/** Every command, in the order in which the help lists them. */
export const commands: readonly Command[] = [
  run,
  build,
  listApis,
  listProviders,
  listDistros,
  listModels,
  modelsPull,
  modelsList,
  modelsRemove,
  keysCreate,
  keysList,
  keysRotate,
  keysRevoke,
  auditVerify,
  auditList,
  policyExplain,
  policyTest,
  tracesList,
  tracesShow,
  tracesTail,
  usage,
  storageStatus,
  storageMigrate,
  storageBackup,
  configValidate,
  configShow,
  configSchema,
  doctor,
  health,
]
