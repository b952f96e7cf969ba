"""Kedro datasets of our own: what reads and writes, so that nodes need not."""

from diamonds.datasets.bento import BentoModelDataset
from diamonds.datasets.blocks import BlocksDataset, CsvBlocksDataset
from diamonds.datasets.champion import ChampionDataset, CurrentChampion
from diamonds.datasets.files import FilesDataset, FolderDataset
from diamonds.datasets.history import HistoryDataset
from diamonds.datasets.pricer import PricerDataset
from diamonds.datasets.sales import SalesWindow, SalesWindowDataset
from diamonds.datasets.stream import FeedDataset, StreamDataset
from diamonds.datasets.studies import StudiesDataset
from diamonds.datasets.traffic import TrafficWindow, TrafficWindowDataset

__all__ = [
    "BentoModelDataset",
    "BlocksDataset",
    "ChampionDataset",
    "CsvBlocksDataset",
    "CurrentChampion",
    "FeedDataset",
    "FilesDataset",
    "FolderDataset",
    "HistoryDataset",
    "PricerDataset",
    "SalesWindow",
    "SalesWindowDataset",
    "StreamDataset",
    "StudiesDataset",
    "TrafficWindow",
    "TrafficWindowDataset",
]
