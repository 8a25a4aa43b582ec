from reprise.api import compare_runs as compare_runs
from reprise.api import export_run as export_run
from reprise.api import open_dataset as open_dataset
from reprise.api import open_model as open_model
from reprise.api import open_run as open_run
from reprise.api import predict_files as predict_files
from reprise.api import read_recipe as read_recipe
from reprise.api import score as score
from reprise.api import train as train

__version__: str
NAMES: tuple[str, ...]
