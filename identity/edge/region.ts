import { loadConfig } from '@smithy/core/config';

/** The region where Flagsmith's own Edge began, and its code's default. */
const FLAGSMITH_REGION = 'eu-west-2';

/**
 * The region from AWS's own settings: `AWS_REGION`, `AWS_DEFAULT_REGION` (the CLI's and Python's), the profile's in
 * `~/.aws/config`; else Flagsmith's.
 */
export function findRegion(): Promise<string> {
  return loadConfig<string>({
    environmentVariableSelector: ({ AWS_REGION, AWS_DEFAULT_REGION }) => AWS_REGION || AWS_DEFAULT_REGION,
    configFileSelector: ({ region }) => region,
    default: FLAGSMITH_REGION,
  })();
}
