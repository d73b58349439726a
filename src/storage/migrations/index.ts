import type { Migration } from '../migration.ts'
import { revisions } from './0001-revisions.ts'
import { models } from './0002-models.ts'
import { apiKeys } from './0003-api-keys.ts'
import { quota } from './0004-quota.ts'
import { ledger } from './0005-ledger.ts'
import { jobs } from './0006-jobs.ts'

/** The tables' history, in order. */
export const migrations: readonly Migration[] = [revisions, models, apiKeys, quota, ledger, jobs]
