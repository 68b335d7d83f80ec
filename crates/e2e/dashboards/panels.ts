// What the panels that we use read from their part of a dashboard. They fill in what is left out, hence Partial.
import type * as stat from './node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type * as stateTimeline from './node_modules/@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/types.gen';
import type * as table from './node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type * as timeseries from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

export interface Panels {
  'stat': {options: Partial<stat.Options>, custom: {}};
  'state-timeline': {options: Partial<stateTimeline.Options>, custom: stateTimeline.FieldConfig};
  'table': {options: Partial<table.Options>, custom: Partial<table.FieldConfig>};
  'timeseries': {options: Partial<timeseries.Options>, custom: timeseries.FieldConfig};
}
