from .categories import EdgeDynamics as EdgeDynamics
from .categories import edge_dynamics as edge_dynamics
from .ranking import TopK as TopK
from .ranking import edge_overlap as edge_overlap
from .ranking import top_k_graph as top_k_graph
from .table import dynamics_summary as dynamics_summary
from .table import dynamics_table as dynamics_table
