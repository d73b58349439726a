import packageJson from '../../../package.json' with { type: 'json' }
import type { ConfigErrors, ConfigIssue } from '../../config/report.ts'
import { formatIssue } from '../../config/report.ts'
import { version } from '../version.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok, warning } from './check.ts'

export const configuration: DoctorCheck = {
  name: 'configuration',
  async find({ loaded: { config, origin, warnings } }) {
    const count = config.providers.length
    const providers = count === 1 ? '1 provider' : `${count} providers`
    return [
      count > 0
        ? ok('configuration', `${origin.name} loads, ${providers}`)
        : warning(
            'configuration',
            `${origin.name} loads but enables no provider`,
            'Set the key of a provider, e.g. OPENAI_API_KEY, or configure a provider in the file.',
          ),
      ...warnings.map(toFinding),
    ]
  },
}

function toFinding(issue: ConfigIssue): DoctorFinding {
  return warning('configuration', formatIssue(issue), 'Correct the line, or remove it.')
}

/** The findings of a configuration that does not load. */
export function loadFailures({ issues, warnings }: ConfigErrors): DoctorFinding[] {
  const errors = issues.map((issue) =>
    failed('configuration', formatIssue(issue), 'Correct it; `corral config validate` lists all errors.'),
  )
  return [...errors, ...warnings.map(toFinding)]
}

export const versions: DoctorCheck = {
  name: 'versions',
  async find() {
    return [ok('version', `Corral ${version}`), bunVersion(process.versions.bun, packageJson.dependencies.bun)]
  },
}

function bunVersion(running: string | undefined, wanted: string): DoctorFinding {
  if (running === wanted) return ok('version', `Bun ${running}`)
  return warning(
    'version',
    `running on Bun ${running ?? '(none)'}; Corral is tested with ${wanted}`,
    'Reinstall with `npm ci`, and start with `corral`.',
  )
}
